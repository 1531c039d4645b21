//! The paths (`a::b::c`) that a Rust source names, found by its tokens.
//!
//! Comments and literals are no code, `#[cfg(test)]` items are not looked at, and the tree of a `use` is unfolded
//! into one path for each leaf.

/// A path as written, and the line where it begins.
#[derive(Debug)]
pub(crate) struct NamedPath {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Colons,
    Mark(char),
}

/// What may stand before a path that begins with `::`.
const KEYWORDS: &[&str] =
    &["use", "impl", "for", "in", "as", "dyn", "mut", "where", "return", "match", "if", "while", "else"];

/// Every path that code outside of `#[cfg(test)]` names; a lone name is a path of one segment.
pub(crate) fn named_paths(source: &str) -> Vec<NamedPath> {
    let tokens = without_test_items(&tokens(source));
    let mut paths = Vec::new();
    let mut next = 0;
    while next < tokens.len() {
        match &tokens[next].0 {
            // A field or a method: its name says nothing about modules.
            Token::Mark('.') => next += 2,
            // `use ::tokio` is no path in a module called `use`.
            Token::Name(name) if KEYWORDS.contains(&name.as_str()) => next += 1,
            Token::Name(_) => next = tree(&tokens, next, &[], &mut paths),
            _ => next += 1,
        }
    }
    paths
}

/// Reads the path that starts at `start`, with all that its braces hold; gives the place after it.
fn tree(tokens: &[(Token, usize)], start: usize, prefix: &[String], paths: &mut Vec<NamedPath>) -> usize {
    let line = tokens.get(start).map_or(0, |(_, line)| *line);
    let mut segments = prefix.to_vec();
    let mut next = start;
    loop {
        match tokens.get(next).map(|(token, _)| token) {
            Some(Token::Name(name)) => segments.push(name.clone()),
            Some(Token::Mark('*')) if next > start => segments.push("*".into()),
            Some(Token::Mark('{')) if next > start => {
                next += 1;
                while !matches!(tokens.get(next), None | Some((Token::Mark('}'), _))) {
                    next = match tokens[next].0 {
                        Token::Name(_) => tree(tokens, next, &segments, paths),
                        _ => next + 1,
                    };
                }
                return next + 1;
            }
            _ => break,
        }
        next += 1;
        if tokens.get(next).map(|(token, _)| token) != Some(&Token::Colons) {
            break;
        }
        next += 1;
    }
    paths.push(NamedPath { line, segments });
    next.max(start + 1)
}

/// Drops each item behind `#[cfg(test)]`: up to its `;`, or to the brace that closes it.
fn without_test_items(tokens: &[(Token, usize)]) -> Vec<(Token, usize)> {
    let attribute: Vec<Token> = self::tokens("#[cfg(test)]").into_iter().map(|(token, _)| token).collect();
    let mut kept = Vec::new();
    let mut next = 0;
    while next < tokens.len() {
        let here = tokens[next..].iter().map(|(token, _)| token);
        if here.take(attribute.len()).eq(attribute.iter()) {
            next = end_of_item(tokens, next + attribute.len());
        } else {
            kept.push(tokens[next].clone());
            next += 1;
        }
    }
    kept
}

fn end_of_item(tokens: &[(Token, usize)], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, (token, _)) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') if depth <= 1 => return at + 1,
            Token::Mark('}') => depth -= 1,
            Token::Mark(';') if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Names, `::` and other marks with their lines; comments, strings and characters left out.
fn tokens(source: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped_length(rest);
        if skipped > 0 {
            line += rest[..skipped].matches('\n').count();
            rest = &rest[skipped..];
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push((Token::Name(rest[..end].to_owned()), line));
            rest = &rest[end..];
        } else if let Some(after) = rest.strip_prefix("::") {
            tokens.push((Token::Colons, line));
            rest = after;
        } else {
            if first == '\n' {
                line += 1;
            } else if !first.is_whitespace() {
                tokens.push((Token::Mark(first), line));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// How long the comment or literal is that `rest` begins with; 0 when it begins with neither.
fn skipped_length(rest: &str) -> usize {
    let to = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return to(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    let literal = rest.trim_start_matches(['b', 'c', 'r']);
    let raw = rest[..rest.len() - literal.len()].ends_with('r');
    let prefix = rest.len() - literal.len();
    if prefix > 2 {
        return 0;
    }
    let hashes = literal.len() - literal.trim_start_matches('#').len();
    if raw && literal[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        return to(literal[hashes + 1..].find(&close).map(|at| prefix + hashes + 1 + at + close.len()));
    }
    match literal.chars().next() {
        Some('"') => prefix + quoted(literal, '"'),
        Some('\'') if is_character(literal) => prefix + quoted(literal, '\''),
        _ => 0,
    }
}

/// Whether a `'` opens a character, not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut after = rest.chars().skip(1);
    matches!((after.next(), after.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}
