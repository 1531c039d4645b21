//! Which names announce a secret.

/// Names that are secret as a whole, in lower case with `-`, `_` and `.` left out.
const EXACT: &[&str] = &[
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "csrf",
    "cvc",
    "cvv",
    "jwt",
    "otp",
    "passphrase",
    "passwd",
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
    "apikey",
    "authorization",
    "cardnumber",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "sessionid",
    "signature",
    "token",
];

/// No secret's name is longer; what is longer is not looked at.
const LONGEST: usize = 128;

/// Whether a header field, parameter, cookie or JSON member of that name holds a secret. Case and the
/// joints of words (`-`, `_`, `.`) do not matter. Names that only contain a secret's name inside, as
/// `token_count`, do not.
pub(super) fn is_secret(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > LONGEST {
        return false;
    }
    let plain: Vec<u8> = name.iter().filter(|b| !b"-_.[]".contains(b)).map(u8::to_ascii_lowercase).collect();
    EXACT.iter().any(|exact| plain == exact.as_bytes())
        || ENDINGS.iter().any(|ending| plain.ends_with(ending.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
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
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in ["", "id", "token_count", "passengers", "author", "keys", "cookiecutter", "secretary"] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
        assert!(!is_secret(&[b'x'; 4096]));
    }
}
