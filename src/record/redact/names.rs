//! Which names announce a secret.

/// Names that are secret as a whole, in lower case with `-`, `_` and `.` left out.
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

    /// Whether a header field, parameter, cookie or JSON member of that name holds a secret. Case and the
    /// joints of words (`-`, `_`, `.`) do not matter. Names that only contain a secret's name inside, as
    /// `token_count`, do not.
    pub(super) fn is_secret(&self, name: &[u8]) -> bool {
        if name.is_empty() || name.len() > LONGEST {
            return false;
        }
        let plain = plain(name);
        EXACT.iter().any(|exact| plain == exact.as_bytes())
            || ENDINGS.iter().any(|ending| plain.ends_with(ending.as_bytes()))
            || self.also.contains(&plain)
    }
}

/// A name in lower case, without the joints of words.
fn plain(name: &[u8]) -> Vec<u8> {
    name.iter().filter(|b| !b"-_.[]".contains(b)).map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::Names;

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
        names.add("X-Customer");
        assert!(names.is_secret(b"xCustomer") && !names.is_secret(b"customers"));
    }
}
