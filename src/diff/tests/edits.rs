//! A random document, edited at random: the differences name exactly the edits.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A document whose members have distinct names, and whose elements are distinct numbers.
#[derive(Clone, Debug)]
enum Doc {
    Number(u32),
    Text(String),
    List(Vec<u32>),
    Object(BTreeMap<String, Doc>),
}

impl std::fmt::Display for Doc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::List(items) => write!(f, "{items:?}"),
            Self::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, doc)| format!("{}:{doc}", serde_json::Value::from(name.as_str())))
                    .collect();
                write!(f, "{{{}}}", members.join(", "))
            }
        }
    }
}

fn doc() -> impl Strategy<Value = Doc> {
    let list =
        prop::collection::btree_set(0u32..1000, 3..12).prop_map(|set| Doc::List(set.into_iter().collect()));
    let leaf =
        prop_oneof![(0u32..1000).prop_map(Doc::Number), "[a-zé\"\\\\\n]{0,8}".prop_map(Doc::Text), list];
    object(leaf.prop_recursive(3, 40, 6, object).boxed())
}

fn object(members: BoxedStrategy<Doc>) -> impl Strategy<Value = Doc> {
    prop::collection::btree_map("[a-e'\\\\]{1,3}", members, 0..6).prop_map(Doc::Object)
}

/// Edits each object and list at most once, steered by the numbers, and says what is expected.
fn edit(
    doc: &Doc,
    path: &str,
    steer: &mut impl Iterator<Item = u8>,
    expected: &mut Vec<(String, Kind)>,
) -> Doc {
    let dice = steer.next().unwrap_or(255);
    match doc {
        Doc::Number(n) if dice < 30 => {
            expected.push((path.to_owned(), Kind::ValueChanged));
            Doc::Number(n + 1)
        }
        Doc::Number(n) if dice < 50 => {
            expected.push((path.to_owned(), Kind::StringNumber));
            Doc::Text(n.to_string())
        }
        Doc::Text(text) if dice < 30 => {
            expected.push((path.to_owned(), Kind::ValueChanged));
            Doc::Text(format!("{text}!"))
        }
        Doc::Text(_) if dice < 50 => {
            expected.push((path.to_owned(), Kind::TypeChanged));
            Doc::List(vec![])
        }
        Doc::List(items) if dice < 120 => edit_list(items, path, dice, expected),
        Doc::Object(members) => edit_object(members, path, dice, steer, expected),
        same => same.clone(),
    }
}

fn edit_list(items: &[u32], path: &str, dice: u8, expected: &mut Vec<(String, Kind)>) -> Doc {
    let at = usize::from(dice) % items.len();
    let mut edited = items.to_vec();
    let kind = match dice / 30 {
        0 => {
            edited.remove(at);
            Kind::ElementRemoved
        }
        1 => {
            edited.insert(at, 5000);
            Kind::ElementAdded
        }
        2 => {
            edited[at] = 5000;
            Kind::ValueChanged
        }
        _ => {
            edited.rotate_left(1);
            expected.push((path.to_owned(), Kind::Reordered));
            return Doc::List(edited);
        }
    };
    expected.push((format!("{path}[{at}]"), kind));
    Doc::List(edited)
}

fn edit_object(
    members: &BTreeMap<String, Doc>,
    path: &str,
    dice: u8,
    steer: &mut impl Iterator<Item = u8>,
    expected: &mut Vec<(String, Kind)>,
) -> Doc {
    let step = |name: &str| format!("{path}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut edited = BTreeMap::new();
    for (i, (name, doc)) in members.iter().enumerate() {
        if dice < 80 && i == usize::from(dice) % members.len() {
            expected.push((step(name), Kind::Missing));
        } else {
            edited.insert(name.clone(), edit(doc, &step(name), steer, expected));
        }
    }
    if (60..140).contains(&dice) {
        expected.push((step("new"), Kind::Added));
        edited.insert("new".to_owned(), Doc::Number(1));
    }
    Doc::Object(edited)
}

/// The kind that the other side would see.
fn mirror(kind: Kind) -> Kind {
    match kind {
        Kind::Missing => Kind::Added,
        Kind::Added => Kind::Missing,
        Kind::ElementRemoved => Kind::ElementAdded,
        Kind::ElementAdded => Kind::ElementRemoved,
        same => same,
    }
}

proptest! {
    #[test]
    fn the_differences_name_exactly_the_edits(doc in doc(), steer in prop::collection::vec(any::<u8>(), 60)) {
        let mut expected = Vec::new();
        let edited = edit(&doc, "$", &mut steer.into_iter(), &mut expected);
        expected.sort();
        prop_assert_eq!(json_facts(&doc.to_string(), &edited.to_string()), expected);
    }

    #[test]
    fn equal_documents_do_not_differ(doc in doc()) {
        let spaced = doc.to_string().replace(", ", " ,\n\t");
        prop_assert_eq!(json_facts(&doc.to_string(), &doc.to_string()), []);
        prop_assert_eq!(json_facts(&doc.to_string(), &spaced), []);
    }

    #[test]
    fn both_ways_see_the_same(doc in doc(), steer in prop::collection::vec(any::<u8>(), 60)) {
        let edited = edit(&doc, "$", &mut steer.into_iter(), &mut Vec::new()).to_string();
        let there: Vec<_> =
            json_facts(&doc.to_string(), &edited).into_iter().map(|(path, kind)| (path, mirror(kind))).collect();
        let back = json_facts(&edited, &doc.to_string());
        prop_assert_eq!(there, back);
    }
}
