//! What the members of many documents are called, place by place.
//!
//! Most names are words of a schema, which document after document has; some are data: `$['users']['alice']`. Where a place
//! has many names of which each is in few documents, or so many that are all alike, it is one of data, and is left open:
//! `$['users'][*]`. Names that many documents have stay.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::super::fingerprint::general_json_path;
use super::path::Step;
use super::{Document, Node, Value};

/// Names of which each is rare that open a place, and so many parts of them have to be rare.
const AMONG_RARE: usize = 16;
/// Objects that consist of the same members: no schema has so many under names of its own.
const ALIKE_OBJECTS: usize = 32;
/// The same for values of one type.
const ALIKE_LEAVES: usize = 200;
/// A name that is in more than this part of the documents is frequent, and stays.
const FREQUENT: u64 = 8;
/// Steps below the root that are looked at.
const MAX_DEPTH: usize = 16;
/// Elements of an array that are looked at.
const MAX_ELEMENTS: usize = 64;
/// The step that stands for all names of a place.
const ANY: &str = "[*]";

/// A place, and what lies below it. Steps are written as in a path, with what only one thing is called left open already.
#[derive(Clone, Debug, Default)]
pub(in crate::diff) struct Outline {
    /// Documents that have the place.
    documents: u64,
    /// The number of the last of them.
    last: u64,
    /// The types of the values that are there.
    types: u8,
    steps: BTreeMap<String, Outline>,
    /// Whether names that are not known here are one step.
    open: bool,
}

impl Outline {
    /// Takes in a document of that number, which is above those before; `room` is how many places may be added.
    pub(in crate::diff) fn add(&mut self, document: &Document<'_>, number: u64, room: &mut usize) {
        self.node(&document.0, number, MAX_DEPTH, room);
    }

    fn node(&mut self, node: &Node<'_>, number: u64, depth: usize, room: &mut usize) {
        self.documents += u64::from(self.last != number);
        self.last = number;
        self.types |= type_of(&node.value);
        if depth == 0 {
            return;
        }
        match &node.value {
            Value::Array(elements) => {
                for element in elements.iter().take(MAX_ELEMENTS) {
                    if let Some(below) = self.step(Cow::Borrowed(ANY), room) {
                        below.node(element, number, depth - 1, room);
                    }
                }
            }
            Value::Object(members) => {
                for member in members {
                    let step = general_json_path(&Step::Name(&member.name).text());
                    if let Some(below) = self.step(Cow::Owned(step), room) {
                        below.node(&member.node, number, depth - 1, room);
                    }
                }
            }
            _ => {}
        }
    }

    /// What lies below a step; `None` where it is new and there is no room.
    fn step(&mut self, step: Cow<'_, str>, room: &mut usize) -> Option<&mut Self> {
        let own = self.steps.contains_key(&*step);
        let step = if own || !self.open || !is_name(&step) { step } else { Cow::Borrowed(ANY) };
        if !self.steps.contains_key(&*step) {
            *room = room.checked_sub(1)?;
        }
        Some(self.steps.entry(step.into_owned()).or_default())
    }

    /// Opens the places whose names are data; says whether there is one.
    pub(in crate::diff) fn open_up(&mut self) -> bool {
        let names = self.names_of_things();
        if !names.is_empty() {
            let mut merged = self.steps.remove(ANY).unwrap_or_default();
            for name in names {
                merged.merge(self.steps.remove(&name).unwrap_or_default());
            }
            self.steps.insert(ANY.to_owned(), merged);
            self.open = true;
        }
        self.steps.values_mut().fold(self.open, |open, below| below.open_up() | open)
    }

    pub(in crate::diff) fn merge(&mut self, other: Self) {
        self.documents += other.documents;
        self.last = self.last.max(other.last);
        self.types |= other.types;
        self.open |= other.open;
        for (step, below) in other.steps {
            self.steps.entry(step).or_default().merge(below);
        }
    }

    /// A general path with each name that is data left open.
    pub(in crate::diff) fn opened(&self, path: &str) -> String {
        let Some(mut rest) = path.strip_prefix('$') else { return path.to_owned() };
        let (mut out, mut here) = ("$".to_owned(), Some(self));
        while let Some(len) = step_len(rest) {
            let (step, behind) = rest.split_at(len);
            let below = here.and_then(|here| here.steps.get(step));
            let is_open = below.is_none() && here.is_some_and(|here| here.open) && is_name(step);
            out.push_str(if is_open { ANY } else { step });
            here = if is_open { here.and_then(|here| here.steps.get(ANY)) } else { below };
            rest = behind;
        }
        out + rest
    }

    /// The names that are data; none where the place is one of a schema.
    fn names_of_things(&self) -> BTreeSet<String> {
        let names: Vec<(&String, &Self)> = self.steps.iter().filter(|(step, _)| is_name(step)).collect();
        let rare: Vec<_> =
            names.iter().copied().filter(|(_, below)| below.documents * FREQUENT <= self.documents).collect();
        let chosen = if self.open || (rare.len() >= AMONG_RARE && rare.len() * 5 >= names.len() * 4) {
            rare
        } else if (names.len() >= ALIKE_OBJECTS && are_alike_objects(&names))
            || (names.len() >= ALIKE_LEAVES && are_alike_leaves(&names))
        {
            names
        } else {
            Vec::new()
        };
        chosen.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Whether all have members, and each member is one of many of them.
fn are_alike_objects(names: &[(&String, &Outline)]) -> bool {
    let mut below: BTreeMap<&str, usize> = BTreeMap::new();
    for step in names.iter().flat_map(|(_, outline)| outline.steps.keys()) {
        *below.entry(step).or_default() += 1;
    }
    let filled = names.iter().filter(|(_, outline)| outline.steps.keys().any(|step| is_name(step))).count();
    filled * 10 >= names.len() * 9 && below.values().all(|count| count * 5 >= names.len())
}

fn are_alike_leaves(names: &[(&String, &Outline)]) -> bool {
    let mut types: BTreeMap<u8, usize> = BTreeMap::new();
    for (_, outline) in names {
        *types.entry(outline.types & !NULL).or_default() += 1;
    }
    types.values().any(|count| count * 10 >= names.len() * 9)
}

/// Whether a step is a name that is not left open already.
fn is_name(step: &str) -> bool {
    step.starts_with("['") && !step.contains('{')
}

const NULL: u8 = 1;

const fn type_of(value: &Value<'_>) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool => 2,
        Value::Number => 4,
        Value::String => 8,
        Value::Array(_) => 16,
        Value::Object(_) => 32,
    }
}

/// The length of the step that a text begins with; `None` where it begins with none.
fn step_len(text: &str) -> Option<usize> {
    let Some(name) = text.strip_prefix("['") else {
        return text.starts_with('[').then(|| text.find(']').map(|end| end + 1)).flatten();
    };
    let mut escaped = false;
    let end = name.bytes().position(|b| {
        let ends = b == b'\'' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    name[end..].starts_with("']").then_some("['".len() + end + "']".len())
}

#[cfg(test)]
mod tests {
    use super::super::{Form, parse};
    use super::*;

    fn outline(documents: impl IntoIterator<Item = String>) -> Outline {
        let (mut outline, mut room) = (Outline::default(), 10_000);
        for (nth, text) in documents.into_iter().enumerate() {
            outline.add(&parse(text.as_bytes(), Form::Single).unwrap(), nth as u64 + 1, &mut room);
            outline.open_up();
        }
        outline
    }

    fn name(n: usize) -> String {
        ["ada", "bo", "cy", "di", "ed"][n % 5].to_owned()
            + ["lyn", "ron", "ta", "mund", "gar"][n / 5 % 5]
            + ["", "s", "na", "x"][n / 25 % 4]
    }

    #[test]
    fn names_that_few_documents_have_are_data() {
        let document = |n: usize| {
            let users: Vec<String> = (0..3)
                .map(|i| format!("\"{}\":{{\"mail\":\"m\",\"seen\":{{\"at\":1}}}}", name(n * 3 + i)))
                .collect();
            format!(
                "{{\"users\":{{\"admin\":{{\"mail\":\"a\"}},{}}},\"total\":3,\"page\":1}}",
                users.join(",")
            )
        };
        let outline = outline((0..30).map(document));
        for (path, opened) in [
            ("$['users']['adalyn']['mail']", "$['users'][*]['mail']"),
            ("$['users']['nobody yet']['seen']['at']", "$['users'][*]['seen']['at']"),
            ("$['users']['it\\'s']", "$['users'][*]"),
            // All have it.
            ("$['users']['admin']['mail']", "$['users']['admin']['mail']"),
            ("$['total']", "$['total']"),
            ("$['other']['adalyn']", "$['other']['adalyn']"),
            ("$['users']", "$['users']"),
            ("$", "$"),
            ("line *", "line *"),
        ] {
            assert_eq!(outline.opened(path), opened);
        }
    }

    #[test]
    fn words_of_a_schema_stay() {
        let members =
            |n: usize| (0..60).map(|i| format!("\"{}\":{n}", name(i))).collect::<Vec<_>>().join(",");
        let mut wide = outline((0..30).map(|n| format!("{{{}}}", members(n))));
        assert!(!wide.open_up());
        assert_eq!(wide.opened("$['adalyn']"), "$['adalyn']");
        // Few optional ones among others.
        let mut few = outline((0..30).map(|n| format!("{{\"a\":1,\"b\":2,\"{}\":3}}", name(n % 12))));
        assert!(!few.open_up());
    }

    /// One document is enough where it has many names of things that are alike.
    #[test]
    fn many_things_alike_are_data() {
        let things = |count: usize, thing: &str| {
            let all: Vec<String> =
                (0..count).map(|n| format!("\"{}q{}\":{thing}", name(n), name(n / 100))).collect();
            outline([format!("{{\"x\":{{{}}}}}", all.join(","))])
        };
        assert_eq!(things(40, "{\"mail\":1}").opened("$['x']['who']['mail']"), "$['x'][*]['mail']");
        assert_eq!(things(250, "1.5").opened("$['x']['who']"), "$['x'][*]");
        assert_eq!(things(40, "1.5").opened("$['x']['who']"), "$['x']['who']");
    }

    #[test]
    fn the_room_is_kept() {
        let (mut outline, mut room) = (Outline::default(), 10);
        let text =
            format!("{{{}}}", (0..50).map(|n| format!("\"{}\":1", name(n))).collect::<Vec<_>>().join(","));
        outline.add(&parse(text.as_bytes(), Form::Single).unwrap(), 1, &mut room);
        assert_eq!((room, outline.steps.len()), (0, 10));
    }
}
