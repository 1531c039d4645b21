//! Requests that clients do send and that tools which parse and rebuild them get wrong: each as it was
//! captured, and, written by hand, as it has to arrive when `-shadow` is added to the Host.

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Awkward {
    /// What is awkward about it.
    pub(crate) name: &'static str,
    /// As captured.
    pub(crate) captured: Vec<u8>,
    /// As it has to arrive.
    pub(crate) expected: Vec<u8>,
}

fn row(name: &'static str, captured: &[u8], expected: &[u8]) -> Awkward {
    Awkward { name, captured: captured.to_vec(), expected: expected.to_vec() }
}

/// A GET whose target is awkward and whose head is not.
fn target(name: &'static str, target: &[u8]) -> Awkward {
    Awkward {
        name,
        captured: [b"GET ", target, b" HTTP/1.1\r\nHost: a.example:8080\r\n\r\n"].concat(),
        expected: [b"GET ", target, b" HTTP/1.1\r\nHost: a.example-shadow:8080\r\n\r\n"].concat(),
    }
}

/// All of them.
pub(crate) fn awkward_requests() -> Vec<Awkward> {
    [targets(), hosts(), heads(), bodies(), large()].concat()
}

fn targets() -> Vec<Awkward> {
    vec![
        target("dot segments", b"/a/./b/../c/../../d"),
        target("only dots", b"/.."),
        target("encoded dot segments", b"/%2e%2E/%2e/x"),
        target("double slashes", b"//a//b///"),
        target("encoded slash", b"/a%2Fb%2fc"),
        target("lower and upper case escapes", b"/%aa%AA"),
        target("broken escapes", b"/%/%z/%2"),
        target("braces", b"/{id}/{name}"),
        target("quotes", b"/\"x\"/'y'/`z`"),
        target("angle brackets", b"/<script>?<x>"),
        target("backslash", b"/a\\b\\..\\c"),
        target("pipe and caret", b"/a|b^c"),
        target("square brackets", b"/x?filter[a][]=1&[b]=2"),
        target("UTF-8, not escaped", "/straße/日本?q=é".as_bytes()),
        target("not UTF-8", b"/\xff\xfe\x80?q=\xc3"),
        target("fragment", b"/page#section?x=1"),
        target("empty query", b"/x?"),
        target("several question marks", b"/x??a=1?b=2"),
        target("odd ampersands", b"/x?&&a&=b&&c=="),
        target("plus and spaces escaped", b"/a+b%20c?d+e=%20"),
        target("semicolons", b"/x;v=1;w/y;z?a=1;b=2"),
        target("colon and at sign", b"/a:b@c:1"),
        target("no leading slash", b"index.html"),
        target("an address in the path", b"/http://other.example/x?u=http://b/"),
        target("escaped NUL and newline", b"/%00/%0d%0a"),
        row(
            "a tab in the request line",
            b"GET /a\tb HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"GET /a\tb HTTP/1.1\r\nHost: a.example-shadow\r\n\r\n",
        ),
        row(
            "OPTIONS for the server",
            b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: a.example-shadow\r\n\r\n",
        ),
        row(
            "absolute form",
            b"GET http://a.example:81/x HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
            b"GET http://a.example:81/x HTTP/1.1\r\nHost: a.example-shadow:81\r\n\r\n",
        ),
        row(
            "absolute form, whose authority wins over another Host",
            b"GET http://a.example/x HTTP/1.1\r\nHost: b.example:99\r\n\r\n",
            b"GET http://a.example/x HTTP/1.1\r\nHost: a.example-shadow\r\n\r\n",
        ),
        row(
            "absolute form with user information",
            b"GET http://me:secret@a.example:81/x HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
            b"GET http://me:secret@a.example:81/x HTTP/1.1\r\nHost: a.example-shadow:81\r\n\r\n",
        ),
    ]
}

fn hosts() -> Vec<Awkward> {
    vec![
        row(
            "HTTP/1.0 without Host",
            b"GET /old HTTP/1.0\r\nAccept: */*\r\n\r\n",
            b"GET /old HTTP/1.0\r\nAccept: */*\r\n\r\n",
        ),
        row("HTTP/1.0 without any field", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"),
        row(
            "HTTP/1.0 with Host",
            b"GET /old HTTP/1.0\r\nHost: a.example\r\n\r\n",
            b"GET /old HTTP/1.0\r\nHost: a.example-shadow\r\n\r\n",
        ),
        row("HTTP/1.1 without Host", b"GET / HTTP/1.1\r\nX: 1\r\n\r\n", b"GET / HTTP/1.1\r\nX: 1\r\n\r\n"),
        row("empty Host", b"GET / HTTP/1.1\r\nHost: \r\n\r\n", b"GET / HTTP/1.1\r\nHost: -shadow\r\n\r\n"),
        row(
            "empty Host without a space",
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:-shadow\r\n\r\n",
        ),
        row(
            "IPv6 Host with port",
            b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: [::1]-shadow:8080\r\n\r\n",
        ),
        row(
            "IPv6 Host without port",
            b"GET / HTTP/1.1\r\nHost: [2001:db8::7]\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: [2001:db8::7]-shadow\r\n\r\n",
        ),
        row(
            "IPv4 Host with port",
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1-shadow:80\r\n\r\n",
        ),
        row(
            "Host with an empty port",
            b"GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.example-shadow:\r\n\r\n",
        ),
        row(
            "Host with a final dot, in capitals, and no space before it",
            b"GET / HTTP/1.1\r\nHOST:A.Example.:80\r\n\r\n",
            b"GET / HTTP/1.1\r\nHOST:A.Example.-shadow:80\r\n\r\n",
        ),
        row(
            "Host in white space, last of all",
            b"GET / HTTP/1.1\r\nx: 1\r\nhOsT: \t a.example:80 \t \r\n\r\n",
            b"GET / HTTP/1.1\r\nx: 1\r\nhOsT: \t a.example-shadow:80 \t \r\n\r\n",
        ),
        row(
            "two Hosts",
            b"GET / HTTP/1.1\r\nHost: a.example\r\nx: 1\r\nHost: b.example:1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.example-shadow\r\nx: 1\r\nHost: b.example-shadow:1\r\n\r\n",
        ),
        row(
            "the host's name elsewhere in the head",
            b"GET /?h=a.example HTTP/1.1\r\nOrigin: http://a.example\r\nHost: a.example\r\nX-Host: a.example\r\n\r\n",
            b"GET /?h=a.example HTTP/1.1\r\nOrigin: http://a.example\r\nHost: a.example-shadow\r\nX-Host: a.example\r\n\r\n",
        ),
    ]
}

fn heads() -> Vec<Awkward> {
    vec![
        row(
            "case and order of names",
            b"GET / HTTP/1.1\r\nzebra: 1\r\nHost: a\r\nX-MiXeD: 2\r\nACCEPT: */*\r\nalpha: 3\r\n\r\n",
            b"GET / HTTP/1.1\r\nzebra: 1\r\nHost: a-shadow\r\nX-MiXeD: 2\r\nACCEPT: */*\r\nalpha: 3\r\n\r\n",
        ),
        row(
            "duplicates apart from each other",
            b"GET / HTTP/1.1\r\nX-A: 1\r\nHost: a\r\nCookie: b=2\r\nx-a: 3\r\nCookie: c=4\r\nX-A: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX-A: 1\r\nHost: a-shadow\r\nCookie: b=2\r\nx-a: 3\r\nCookie: c=4\r\nX-A: 1\r\n\r\n",
        ),
        row(
            "odd spacing",
            b"GET / HTTP/1.1\r\nHost: a\r\nA:1\r\nB:\t2\r\nC:   3   \r\nD:\r\nE: \r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a-shadow\r\nA:1\r\nB:\t2\r\nC:   3   \r\nD:\r\nE: \r\n\r\n",
        ),
        row(
            "odd values",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\xff \"q\\\"\" (c) , ,; =\r\nUser-Agent: \r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a-shadow\r\nX: \xe9\xff \"q\\\"\" (c) , ,; =\r\nUser-Agent: \r\n\r\n",
        ),
        row(
            "hop-by-hop fields",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a-shadow\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\n\r\n",
        ),
        row(
            "Accept-Encoding of its own",
            b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br;q=0, *;q=0.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a-shadow\r\nAccept-Encoding: br;q=0, *;q=0.1\r\n\r\n",
        ),
        row(
            "folded lines",
            b"GET / HTTP/1.1\r\nX: one\r\n two\r\n\tthree\r\nHost: a\r\nY: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: one\r\n two\r\n\tthree\r\nHost: a-shadow\r\nY: 1\r\n\r\n",
        ),
        row(
            "a folded Host",
            b"GET / HTTP/1.1\r\nHost:\r\n a.example:80\r\nY: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:\r\n a.example-shadow:80\r\nY: 1\r\n\r\n",
        ),
        row(
            "lines ended by LF alone",
            b"GET / HTTP/1.1\nHost: a.example\nX: 1\n\n",
            b"GET / HTTP/1.1\nHost: a.example-shadow\nX: 1\n\n",
        ),
        row(
            "line ends of both kinds",
            b"GET / HTTP/1.1\r\nHost: a.example\nX: 1\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a.example-shadow\nX: 1\r\n\n",
        ),
        row(
            "white space before a colon",
            b"GET / HTTP/1.1\r\nX : 1\r\nHost: a.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nX : 1\r\nHost: a.example-shadow\r\n\r\n",
        ),
        row(
            "a line that is no field",
            b"GET / HTTP/1.1\r\nthis is no field\r\nHost: a.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nthis is no field\r\nHost: a.example-shadow\r\n\r\n",
        ),
        row(
            "a method of its own",
            b"M-SEARCH /ssdp HTTP/1.1\r\nHost: a\r\n\r\n",
            b"M-SEARCH /ssdp HTTP/1.1\r\nHost: a-shadow\r\n\r\n",
        ),
        row(
            "a method in lower case",
            b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"get / HTTP/1.1\r\nHost: a-shadow\r\n\r\n",
        ),
        row(
            "an upgrade that v1 declined",
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
            b"GET /ws HTTP/1.1\r\nHost: a-shadow\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        ),
    ]
}

fn bodies() -> Vec<Awkward> {
    vec![
        row(
            "GET with a body",
            b"GET /search HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{\"q\":\"x\"}",
            b"GET /search HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 9\r\n\r\n{\"q\":\"x\"}",
        ),
        row(
            "POST without a body",
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 0\r\n\r\n",
        ),
        row(
            "a length with leading zeros",
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\n\r\nabc",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 0003\r\n\r\nabc",
        ),
        row(
            "two equal lengths",
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        ),
        row(
            "binary body that looks like a head",
            b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n\0\xff\r\n",
            b"PUT /x HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 31\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n\0\xff\r\n",
        ),
        row(
            "chunks of uneven sizes",
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n003\r\nbcd\r\nA\r\n0123456789\r\n0\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n003\r\nbcd\r\nA\r\n0123456789\r\n0\r\n\r\n",
        ),
        row(
            "chunk extensions and trailers",
            b"POST /x HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3;name=\"v\";flag\r\nabc\r\n0;last\r\nX-Sum: 9\r\nx-more:  z \r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3;name=\"v\";flag\r\nabc\r\n0;last\r\nX-Sum: 9\r\nx-more:  z \r\n\r\n",
        ),
        row(
            "only the last chunk",
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n000\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nTransfer-Encoding: Chunked\r\n\r\n000\r\n\r\n",
        ),
        row(
            "a length beside the chunked coding",
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        ),
        row(
            "compressed, then chunked",
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\n\x1f\x8b\x08\x00\r\n0\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a-shadow\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\n\x1f\x8b\x08\x00\r\n0\r\n\r\n",
        ),
        row(
            "multipart",
            b"POST /up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\"b c\"\r\nContent-Length: 54\r\nHost: a\r\n\r\n--b c\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--",
            b"POST /up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\"b c\"\r\nContent-Length: 54\r\nHost: a-shadow\r\n\r\n--b c\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--",
        ),
    ]
}

fn large() -> Vec<Awkward> {
    let long = [b"/".as_slice(), &b"0123456789".repeat(7_168)].concat();
    let fields: Vec<u8> = (0..300).flat_map(|n| format!("X-{n}: {n}\r\n").into_bytes()).collect();
    let body: Vec<u8> = (0..1_000_000_u32).flat_map(|n| (n % 251).to_le_bytes()).collect();
    let with_fields =
        |host: &[u8]| [b"GET / HTTP/1.1\r\n".as_slice(), &fields, b"Host: ", host, b"\r\n\r\n"].concat();
    let with_body = |host: &[u8]| {
        [b"PUT / HTTP/1.1\r\nHost: ", host, b"\r\nContent-Length: 4000000\r\n\r\n", &body[..]].concat()
    };
    vec![
        target("a target of 70 KB", &long),
        Awkward { name: "300 fields", captured: with_fields(b"a"), expected: with_fields(b"a-shadow") },
        Awkward { name: "a body of 4 MB", captured: with_body(b"a"), expected: with_body(b"a-shadow") },
    ]
}
