//! One story, one question.

use super::dialogue::Dialogue;

#[test]
fn a_dialogue_comes_out_as_it_was_spoken() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b").ask("c").answer("d").close();
    assert_eq!(dialogue.heard(), [">a <b >c <d >.Fin <.Fin"]);
}
