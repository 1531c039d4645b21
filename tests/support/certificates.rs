//! Certificates for servers and clients of a test, made by openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Skip, require_tool};

/// An authority of the test's own, and what it has signed. All is in PEM, in a folder that goes with the value.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// An authority that signed `server` (for `localhost`, `v2.example` and the loopback addresses) and `client`, and
    /// beside it `stranger`, which signed itself.
    pub fn new() -> Result<Self, Skip> {
        require_tool("openssl", "version")?;
        let certificates = Self { folder: TempDir::new().unwrap() };
        certificates.own("ca", &["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]);
        certificates.own("stranger", &["subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        certificates.signed("server", "subjectAltName=DNS:localhost,DNS:v2.example,IP:127.0.0.1,IP:::1");
        certificates.signed("client", "extendedKeyUsage=clientAuth");
        Ok(certificates)
    }

    /// The certificate of this name.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.pem"))
    }

    /// Its private key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    /// Has the authority sign one more, of these extensions.
    pub fn sign(&self, name: &str, extensions: &str) {
        self.signed(name, extensions);
    }

    fn own(&self, name: &str, extensions: &[&str]) {
        let mut command = self.openssl(&["req", "-x509", "-days", "3650", "-config", "config"]);
        self.names(&mut command, name);
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        run(command.arg("-out").arg(self.certificate(name)));
    }

    fn signed(&self, name: &str, extension: &str) {
        let request = self.folder.path().join("request");
        let mut command = self.openssl(&["req", "-new", "-config", "config"]);
        self.names(&mut command, name);
        run(command.arg("-out").arg(&request));
        fs::write(self.folder.path().join("extensions"), extension).unwrap();
        let mut command =
            self.openssl(&["x509", "-req", "-days", "3650", "-CAcreateserial", "-extfile", "extensions"]);
        command.arg("-CA").arg(self.certificate("ca")).arg("-CAkey").arg(self.key("ca"));
        run(command.arg("-in").arg(&request).arg("-out").arg(self.certificate(name)));
    }

    fn names(&self, command: &mut Command, name: &str) {
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.args(["-subj", &format!("/CN=shadowcap test {name}")]).arg("-keyout").arg(self.key(name));
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        // The system's own configuration would add extensions.
        let config = self.folder.path().join("config");
        if !Path::exists(&config) {
            fs::write(config, "[req]\ndistinguished_name = names\n[names]\n").unwrap();
        }
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
