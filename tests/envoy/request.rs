//! A request as it arrived, in the parts that are compared.

/// Parsed the plain way; the tests check the program's own parser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Header fields and then trailers, by names in lower case; the Host is one of them.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) trailers: Vec<(String, String)>,
    /// After de-chunking.
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let (head, rest) = halves(bytes);
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let mut start = lines.next().unwrap().split(' ');
        let (method, target) = (start.next().unwrap().to_owned(), start.next().unwrap().to_owned());
        let fields: Vec<_> = lines.filter(|line| !line.is_empty()).map(field).collect();
        let chunked = fields.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let (body, trailers) = if chunked { chunks(rest) } else { (rest.to_vec(), Vec::new()) };
        Self { method, target, fields, trailers, body }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// How ours differs from Envoy's, a line for each fact; order and case of names aside.
    pub(crate) fn differences(envoy: &Self, ours: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, theirs, ours) in
            [("method", &envoy.method, &ours.method), ("target", &envoy.target, &ours.target)]
        {
            if theirs != ours {
                lines.push(format!("{what} {ours} is {theirs} through Envoy"));
            }
        }
        for (what, theirs, ours) in
            [("", &envoy.fields, &ours.fields), ("trailer ", &envoy.trailers, &ours.trailers)]
        {
            lines.extend(without(theirs, ours).map(|(name, value)| {
                // An id is another one each time.
                let value = if name == "x-request-id" { "*" } else { &value };
                format!("Envoy adds {what}{name}: {value}")
            }));
            lines.extend(
                without(ours, theirs).map(|(name, value)| format!("Envoy drops {what}{name}: {value}")),
            );
        }
        if envoy.body != ours.body {
            lines.push(format!(
                "the body has {} bytes, and {} through Envoy",
                ours.body.len(),
                envoy.body.len()
            ));
        }
        lines.sort();
        lines
    }
}

/// What is in `all` more often than in `others`.
fn without<'a>(
    all: &'a [(String, String)],
    others: &[(String, String)],
) -> impl Iterator<Item = (String, String)> + use<'a> {
    let mut others = others.to_vec();
    all.iter().filter_map(move |field| match others.iter().position(|other| other == field) {
        Some(at) => {
            others.swap_remove(at);
            None
        }
        None => Some(field.clone()),
    })
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (&bytes[..end], &bytes[end + 4..])
}

fn chunks(mut rest: &[u8]) -> (Vec<u8>, Vec<(String, String)>) {
    let mut body = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let line = std::str::from_utf8(&rest[..line_end]).unwrap();
        let size = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
        rest = &rest[line_end + 2..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    let trailers = String::from_utf8_lossy(rest);
    (body, trailers.split("\r\n").filter(|line| !line.is_empty()).map(field).collect())
}
