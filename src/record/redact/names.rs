//! Which names announce a secret.

/// Names that are secret as a whole, in lower case with `-`, `_` and `.` left out, in alphabetical order.
const EXACT: &[&str] = &[
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "csrf",
    "cvc",
    "cvv",
    "iban",
    "jwt",
    "otp",
    "passcode",
    "passphrase",
    "passwd",
    "pin",
    "pwd",
    "session",
    "sessionid",
    "setcookie",
    "sid",
    "sig",
    "signature",
    "ssn",
    "xsrf",
];

/// Endings that make a name secret: `x-access-token`, `clientSecret`, `X-Api-Key`.
const ENDINGS: &[&str] = &[
    "accesskey",
    "accountkey",
    "apikey",
    "authkey",
    "authorization",
    "cardnumber",
    "credential",
    "credentials",
    "encryptionkey",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "sessionid",
    "signature",
    "signingkey",
    "subscriptionkey",
    "token",
];

/// No secret's name is longer; what is longer is not looked at.
const LONGEST: usize = 128;

/// The names that announce a secret: those that are known to, and those that the user adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    also: Vec<Vec<u8>>,
}

impl Names {
    /// Adds a name of the user's.
    pub(super) fn add(&mut self, name: &str) {
        self.also.push(plain(name.as_bytes()));
    }

    fn has_own(&self) -> bool {
        !self.also.is_empty()
    }

    /// Whether a header field, parameter, cookie or JSON member of that name holds a secret. Case and the
    /// joints of words (`-`, `_`, `.`) do not matter. Names that only contain a secret's name inside, as
    /// `token_count`, do not.
    pub(super) fn is_secret(&self, name: &[u8]) -> bool {
        if name.is_empty() || name.len() > LONGEST || !(ends_as_secrets_do(name) || self.has_own()) {
            return false;
        }
        let mut space = [0; LONGEST];
        let plain = plain_in(name, &mut space);
        let ends_alike = |known: &&&str| known.as_bytes().last() == plain.last();
        ENDINGS.iter().filter(ends_alike).any(|ending| plain.ends_with(ending.as_bytes()))
            || EXACT.binary_search_by(|exact| exact.as_bytes().cmp(plain)).is_ok()
            || self.also.iter().any(|also| also == plain)
    }
}

/// Whether the last two letters are those of some known name: most names are told by them alone.
fn ends_as_secrets_do(name: &[u8]) -> bool {
    let mut letters = name.iter().rev().filter(|b| !is_joint(**b)).map(u8::to_ascii_lowercase);
    let (last, before) = (letters.next().unwrap_or(0), letters.next().unwrap_or(0));
    matches!(
        &[before, last],
        b"al"
            | b"an"
            | b"de"
            | b"en"
            | b"er"
            | b"es"
            | b"et"
            | b"ey"
            | b"id"
            | b"ie"
            | b"ig"
            | b"in"
            | b"ls"
            | b"on"
            | b"rd"
            | b"re"
            | b"rf"
            | b"se"
            | b"sn"
            | b"th"
            | b"tp"
            | b"vc"
            | b"vv"
            | b"wd"
            | b"wt"
    )
}

/// What joins the words of a name.
const fn is_joint(b: u8) -> bool {
    matches!(b, b'-' | b'_' | b'.' | b'[' | b']')
}

/// A name in lower case, without the joints of words.
fn plain(name: &[u8]) -> Vec<u8> {
    let mut space = vec![0; name.len()];
    plain_in(name, &mut space).to_vec()
}

/// The same in the space that is given, which is as long as the name at least.
fn plain_in<'s>(name: &[u8], space: &'s mut [u8]) -> &'s [u8] {
    let letters = name.iter().filter(|b| !is_joint(**b)).map(u8::to_ascii_lowercase);
    let mut len = 0;
    for b in letters {
        if let Some(place) = space.get_mut(len) {
            *place = b;
            len += 1;
        }
    }
    space.get(..len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ENDINGS, EXACT, Names, ends_as_secrets_do};

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        let mut names = Names::default();
        for name in [
            "password",
            "Passwd",
            "access_token",
            "accessToken",
            "X-Api-Key",
            "api_key",
            "apikey",
            "Authorization",
            "Proxy-Authorization",
            "Set-Cookie",
            "client.secret",
            "user[password]",
            "X-Amz-Signature",
            "id_token",
            "X-CSRF-Token",
            "aws_secret_access_key",
        ] {
            assert!(names.is_secret(name.as_bytes()), "{name}");
        }
        for name in ["", "id", "token_count", "passengers", "author", "keys", "cookiecutter", "secretary"] {
            assert!(!names.is_secret(name.as_bytes()), "{name}");
        }
        assert!(!names.is_secret(&[b'x'; 4096]));
        assert!(EXACT.is_sorted() && EXACT.iter().all(|name| names.is_secret(name.as_bytes())));
        assert!(EXACT.iter().chain(ENDINGS).all(|name| ends_as_secrets_do(name.as_bytes())));
        names.add("X-Customer");
        assert!(names.is_secret(b"xCustomer") && !names.is_secret(b"customers"));
    }
}
