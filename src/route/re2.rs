//! RE2's syntax as Envoy compiles it, in terms of the `regex` crate.
//!
//! Envoy has RE2 take pattern and value for bytes (Latin-1): a character beyond ASCII is the bytes of its
//! UTF-8, also within a class. Both dialects mean the same by most of what they share, and where they do
//! not, or one alone knows it, the pattern is written anew: `[a&&b]`, `[[]`, `{,3}`, `\Q...\E`, `\p{L}`,
//! `\<`, `\123`, `\s` without the vertical tab. What RE2 refuses is refused here: `a**`, `(?x)`, `{1001}`.
//! <https://github.com/google/re2/wiki/Syntax>

/// A pattern in the syntax of the `regex` crate, for bytes.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) text: String,
    /// About how many states it compiles to.
    pub(super) states: u64,
    /// Groups that capture.
    pub(super) groups: usize,
}

/// Writes a pattern of RE2 anew.
///
/// # Errors
/// When RE2 would refuse it; in words.
pub(super) fn translate(source: &str) -> Result<Translated, String> {
    let mut writer = Writer {
        rest: source.as_bytes(),
        text: String::with_capacity(source.len() + 16),
        open: vec![Sum::default()],
        groups: 0,
        after_repetition: false,
    };
    while let Some(byte) = writer.next() {
        writer.piece(byte)?;
    }
    match (writer.open.pop(), writer.open.pop()) {
        (Some(all), None) => Ok(Translated {
            text: writer.text,
            states: all.states.saturating_add(all.last),
            groups: writer.groups,
        }),
        _ => Err("a group is not closed".to_owned()),
    }
}

/// Repetitions, and those of repeated ones multiplied, that RE2 allows.
const MOST_REPEATS: u64 = 1000;

/// What has been written of one group.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// States of all but the last piece.
    states: u64,
    /// States of the last piece, which a repetition multiplies.
    last: u64,
    /// How often the last piece repeats a part of itself.
    last_repeats: u64,
    /// The most of that in all pieces.
    repeats: u64,
}

impl Sum {
    /// Another piece.
    fn push(&mut self, states: u64, repeats: u64) {
        self.states = self.states.saturating_add(self.last);
        (self.last, self.last_repeats) = (states, repeats.max(1));
        self.repeats = self.repeats.max(self.last_repeats);
    }
}

struct Writer<'p> {
    rest: &'p [u8],
    text: String,
    /// The groups that are open, the pattern itself first; never empty.
    open: Vec<Sum>,
    groups: usize,
    /// The last piece was a repetition, which RE2 does not let be repeated without a group around it.
    after_repetition: bool,
}

impl Writer<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, prefix: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands before `end`, which is passed over, too; `None` where it does not come.
    fn until(&mut self, end: &[u8]) -> Option<&[u8]> {
        let at = memchr::memmem::find(self.rest, end)?;
        let (before, rest) = self.rest.split_at(at);
        self.rest = &rest[end.len()..];
        Some(before)
    }

    fn sum(&mut self) -> Option<&mut Sum> {
        self.open.last_mut()
    }

    /// Writes a piece of so many states that may be repeated.
    fn put(&mut self, text: &str, states: u64) {
        self.text.push_str(text);
        if let Some(sum) = self.sum() {
            sum.push(states, 1);
        }
        self.after_repetition = false;
    }

    fn literal(&mut self, byte: u8) {
        self.put(&escaped(byte), 1);
    }

    fn piece(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'\\' => return self.escape(),
            b'[' => return self.class(),
            b'(' => return self.group(),
            b')' => return self.close(),
            b'|' => {
                self.text.push('|');
                self.after_repetition = false;
                if let Some(sum) = self.sum() {
                    sum.push(1, 1);
                }
            }
            b'*' | b'+' | b'?' => return self.repeat(char::from(byte).to_string(), 1, true),
            b'{' => match self.counts() {
                Some((least, most)) => return self.counted(least, most),
                None => self.literal(byte),
            },
            b'^' | b'$' | b'.' => self.put(char::from(byte).encode_utf8(&mut [0; 4]), 1),
            _ => self.literal(byte),
        }
        Ok(())
    }

    /// The numbers of `{n}`, `{n,}` or `{n,m}`; `None` where the brace is none of these, and stands for itself.
    fn counts(&mut self) -> Option<(u64, Option<u64>)> {
        let end = memchr::memchr(b'}', self.rest)?;
        let inner = std::str::from_utf8(&self.rest[..end]).ok()?;
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let leads = text.len() > 1 && text.starts_with('0');
            (plain && !leads).then(|| text.parse().unwrap_or(u64::MAX))
        };
        let counts = match inner.split_once(',') {
            None => number(inner).map(|count| (count, Some(count)))?,
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        self.rest = &self.rest[end + 1..];
        Some(counts)
    }

    fn counted(&mut self, least: u64, most: Option<u64>) -> Result<(), String> {
        let top = most.unwrap_or(least);
        if least.max(top) > MOST_REPEATS || top < least {
            return Err(format!("{{{least},{top}}} is no repetition from 0 to {MOST_REPEATS} times"));
        }
        let text = match most {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        self.repeat(text, top.max(1), most.is_some())
    }

    fn repeat(&mut self, text: String, times: u64, bounded: bool) -> Result<(), String> {
        if self.after_repetition {
            return Err(format!("`{text}` repeats a repetition; put that in a group"));
        }
        self.text.push_str(&text);
        if self.skip(b"?") {
            self.text.push('?');
        }
        self.after_repetition = true;
        let Some(sum) = self.sum() else { return Ok(()) };
        sum.last = sum.last.saturating_mul(times).saturating_add(1 + u64::from(!bounded));
        sum.last_repeats = sum.last_repeats.saturating_mul(times);
        sum.repeats = sum.repeats.max(sum.last_repeats);
        if times > 1 && sum.last_repeats > MOST_REPEATS {
            return Err(format!("repetitions within repetitions come to more than {MOST_REPEATS}"));
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        self.after_repetition = false;
        if !self.skip(b"?") {
            self.groups += 1;
            return self.open_group("(");
        }
        if self.skip(b"P<") || self.skip(b"<") {
            let name = self.until(b">").unwrap_or_default();
            if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                return Err("a group has a name that is none".to_owned());
            }
            self.groups += 1;
            return self.open_group("(");
        }
        let mut flags = String::from("(?");
        loop {
            match self.next() {
                Some(flag @ (b'i' | b'm' | b's' | b'U')) => flags.push(char::from(flag)),
                Some(b'-') if !flags.contains('-') => flags.push('-'),
                Some(end @ (b':' | b')')) if !flags.ends_with('-') => {
                    if end == b':' {
                        return self.open_group(&(flags + ":"));
                    }
                    // Flags alone are no piece; without any, nothing is left.
                    if flags.len() > 2 {
                        self.text.push_str(&flags);
                        self.text.push(')');
                    }
                    return Ok(());
                }
                _ => return Err("a group begins with flags that are not i, m, s or U".to_owned()),
            }
        }
    }

    fn open_group(&mut self, text: &str) -> Result<(), String> {
        if self.open.len() > MOST_DEPTH {
            return Err(format!("groups within groups are more than {MOST_DEPTH} deep"));
        }
        self.text.push_str(text);
        self.open.push(Sum::default());
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        self.text.push(')');
        self.after_repetition = false;
        let inner = self.open.pop().unwrap_or_default();
        let Some(sum) = self.sum() else { return Err("a group is closed that was not opened".to_owned()) };
        sum.push(inner.states.saturating_add(inner.last).saturating_add(2), inner.repeats);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(byte) = self.next() else { return Err("a backslash stands at the end".to_owned()) };
        match byte {
            b'Q' => self.quoted(),
            b'A' | b'z' => self.put(if byte == b'A' { "\\A" } else { "\\z" }, 1),
            b'b' | b'B' => self.put(if byte == b'b' { "(?:\\b)" } else { "(?:\\B)" }, 1),
            b'C' => self.put("(?s:.)", 1),
            _ => match self.set(byte)? {
                Some(set) => {
                    let text = format!("[{}]", set.ranges());
                    self.put(&text, 1);
                }
                None => {
                    let byte = self.escaped_byte(byte)?;
                    self.literal(byte);
                }
            },
        }
        Ok(())
    }

    /// What stands between `\Q` and `\E`, or to the end, stands for itself.
    fn quoted(&mut self) {
        while !self.skip(b"\\E") {
            let Some(byte) = self.next() else { return };
            self.literal(byte);
        }
    }

    /// The bytes that an escape such as `\d` or `\pL` stands for; `None` where it stands for one byte.
    fn set(&mut self, byte: u8) -> Result<Option<Set>, String> {
        Ok(Some(match byte {
            b'd' | b'D' => Set::of(|b| b.is_ascii_digit()).negated_if(byte == b'D'),
            b's' | b'S' => Set::of(|b| b"\t\n\x0c\r ".contains(&b)).negated_if(byte == b'S'),
            b'w' | b'W' => Set::of(|b| b.is_ascii_alphanumeric() || b == b'_').negated_if(byte == b'W'),
            b'p' | b'P' => self.property(byte == b'P')?,
            _ => return Ok(None),
        }))
    }

    /// `\pL`, `\p{Lu}`, `\p{^Greek}`, as far as it lies in Latin-1.
    fn property(&mut self, negated: bool) -> Result<Set, String> {
        let name = if self.skip(b"{") {
            String::from_utf8_lossy(self.until(b"}").unwrap_or_default()).into_owned()
        } else {
            self.next().map(|byte| char::from(byte).to_string()).unwrap_or_default()
        };
        let (name, inverted) = name.strip_prefix('^').map_or((name.as_str(), false), |name| (name, true));
        let unknown = || format!("\\p{{{name}}} is no class of characters that RE2 knows");
        let plain = name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        if !plain || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Err(unknown());
        }
        let class = regex::Regex::new(&format!("^\\p{{{name}}}$")).map_err(|_| unknown())?;
        let has = |byte: u8| class.is_match(char::from(byte).encode_utf8(&mut [0; 4]));
        Ok(Set::of(has).negated_if(negated != inverted))
    }

    /// The byte that an escape stands for, whose first character is given.
    fn escaped_byte(&mut self, first: u8) -> Result<u8, String> {
        let octal =
            |byte: Option<&u8>| byte.filter(|b| matches!(b, b'0'..=b'7')).map(|b| u32::from(b - b'0'));
        let code = match first {
            b'a' => 0x07,
            b'f' => 0x0c,
            b'n' => 0x0a,
            b'r' => 0x0d,
            b't' => 0x09,
            b'v' => 0x0b,
            b'x' => {
                self.hexadecimal().ok_or("\\x stands before two hexadecimal digits, or some in braces")?
            }
            b'0'..=b'7' => {
                let mut code = u32::from(first - b'0');
                if first != b'0' && octal(self.rest.first()).is_none() {
                    return Err(format!(
                        "\\{} would refer to a group, which RE2 cannot do",
                        char::from(first)
                    ));
                }
                for _ in 0..2 {
                    let Some(digit) = octal(self.rest.first()) else { break };
                    code = code * 8 + digit;
                    self.rest = &self.rest[1..];
                }
                code
            }
            byte if (byte.is_ascii_punctuation() && byte != b'_') || byte == b' ' => u32::from(byte),
            byte => return Err(format!("\\{} is no escape that RE2 knows", byte.escape_ascii())),
        };
        u8::try_from(code)
            .map_err(|_| format!("\\x{{{code:x}}} is more than a byte, and Envoy matches bytes"))
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = if self.skip(b"{") {
            self.until(b"}")?
        } else {
            let (digits, rest) = self.rest.split_at_checked(2)?;
            self.rest = rest;
            digits
        };
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }

    /// A class in brackets. In RE2, another bracket, `&&`, `--` and `~~` in it are themselves.
    fn class(&mut self) -> Result<(), String> {
        let negated = self.skip(b"^");
        let mut set = Set::default();
        let mut named = String::new();
        let mut first = true;
        loop {
            let Some(byte) = self.next() else { return Err("a class is not closed by `]`".to_owned()) };
            if byte == b']' && !first {
                break;
            }
            first = false;
            if byte == b'['
                && let Some(name) = self.posix_name()?
            {
                named.extend(["[:", name, ":]"]);
                continue;
            }
            if let (b'\\', Some(kind)) = (byte, self.rest.first().copied()) {
                let before = self.rest;
                self.rest = &before[1..];
                if let Some(more) = self.set(kind)? {
                    set.join(&more);
                    continue;
                }
                self.rest = before;
            }
            let low = self.member(byte)?;
            let high = match self.rest {
                [b'-', next, ..] if *next != b']' => {
                    let next = *next;
                    self.rest = &self.rest[2..];
                    self.member(next)?
                }
                _ => low,
            };
            if high < low {
                return Err(format!("{}-{} is no range", low.escape_ascii(), high.escape_ascii()));
            }
            (low..=high).for_each(|byte| set.insert(byte));
        }
        let text = format!("[{}{named}{}]", if negated { "^" } else { "" }, set.ranges());
        self.put(&text, 1);
        Ok(())
    }

    /// The name of a class of POSIX, as `[:alpha:]`, behind its first bracket; `None` where none begins here.
    fn posix_name(&mut self) -> Result<Option<&'static str>, String> {
        let Some(rest) = self.rest.strip_prefix(b":") else { return Ok(None) };
        let Some(end) = memchr::memmem::find(rest, b":]") else { return Ok(None) };
        let name = &rest[..end];
        let known = NAMED.iter().find(|known| known.as_bytes() == name);
        let Some(known) = known else {
            return Err(format!("[:{}:] is no class that RE2 knows", name.escape_ascii()));
        };
        self.rest = &rest[end + 2..];
        Ok(Some(known))
    }

    fn member(&mut self, byte: u8) -> Result<u8, String> {
        if byte != b'\\' {
            return Ok(byte);
        }
        let Some(first) = self.next() else { return Err("a class is not closed by `]`".to_owned()) };
        self.escaped_byte(first)
    }
}

/// Groups within groups.
const MOST_DEPTH: usize = 200;

/// The classes of POSIX, and their opposites.
const NAMED: &[&str] = &[
    "alnum", "^alnum", "alpha", "^alpha", "ascii", "^ascii", "blank", "^blank", "cntrl", "^cntrl", "digit",
    "^digit", "graph", "^graph", "lower", "^lower", "print", "^print", "punct", "^punct", "space", "^space",
    "upper", "^upper", "word", "^word", "xdigit", "^xdigit",
];

/// A byte that stands for itself.
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || byte == b'_' {
        char::from(byte).to_string()
    } else {
        format!("\\x{byte:02x}")
    }
}

/// Some bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Set([u128; 2]);

impl Set {
    fn of(has: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::default();
        (0..=u8::MAX).filter(|byte| has(*byte)).for_each(|byte| set.insert(byte));
        set
    }

    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 7)] |= 1 << (byte & 0x7f);
    }

    const fn has(&self, byte: u8) -> bool {
        (self.0[(byte >> 7) as usize] >> (byte & 0x7f)) & 1 == 1
    }

    fn join(&mut self, other: &Self) {
        self.0[0] |= other.0[0];
        self.0[1] |= other.0[1];
    }

    const fn negated_if(self, negated: bool) -> Self {
        if negated { Self([!self.0[0], !self.0[1]]) } else { self }
    }

    /// Its ranges, as they stand in a class.
    fn ranges(&self) -> String {
        let mut text = String::new();
        let mut byte = 0_u16;
        let has = |byte: u16| u8::try_from(byte).is_ok_and(|byte| self.has(byte));
        while byte < 256 {
            let start = byte;
            while has(byte) {
                byte += 1;
            }
            match byte - start {
                0 => byte += 1,
                1 => text.push_str(&format!("\\x{start:02x}")),
                _ => text.push_str(&format!("\\x{start:02x}-\\x{:02x}", byte - 1)),
            }
        }
        text
    }
}
