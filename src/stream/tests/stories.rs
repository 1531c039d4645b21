//! One story, one question.

use super::dialogue::{Dialogue, Sent};
use crate::anomaly::Anomaly;
use crate::stream::Direction::{ToClient, ToServer};
use crate::wire::Flags;

#[test]
fn a_dialogue_comes_out_as_it_was_spoken() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b").ask("c").answer("d").close();
    assert_eq!(dialogue.heard(), [">a <b >c <d >.Fin <.Fin"]);
}

#[test]
fn urgent_data_stays_in_the_stream() {
    // RFC 6093, section 3.1: what is urgent is in line with the rest.
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").send(ToServer, Flags::ACK | Flags::URG, b"!").ask("b").answer("c").close();
    assert_eq!(dialogue.heard(), [">a >! >b <c >.Fin <.Fin"]);
}

#[test]
fn a_response_captured_before_its_request_comes_after_it() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("ask").answer("answer").hasten(1).close();
    assert_eq!(dialogue.heard(), [">ask <answer >.Fin <.Fin"]);
}

#[test]
fn a_repeat_that_joins_two_requests_keeps_the_response_between_them() {
    let mut dialogue = Dialogue::begun();
    let seq = dialogue.next(ToServer);
    dialogue.ask("a").lose().answer("b");
    let ack = dialogue.next(ToClient);
    dialogue.put(ToServer, seq, ack, Flags::ACK, b"ac");
    assert_eq!(dialogue.heard(), [">a <b >c >.Idle <.Idle"]);
}

#[test]
fn repeats_that_join_two_turns_of_both_sides_wait_for_the_first_copies() {
    let mut dialogue = Dialogue::begun();
    let (client, server) = (dialogue.next(ToServer), dialogue.next(ToClient));
    dialogue.ask("a").lose().answer("b").lose().ask("c").lose().answer("d").lose();
    // Each side repeats both of its turns in one segment, before the first copies are seen.
    dialogue.put(ToServer, client, server + 1, Flags::ACK, b"ac");
    dialogue.put(ToClient, server, client + 2, Flags::ACK, b"bd");
    dialogue.put(ToClient, server, client + 1, Flags::ACK, b"b");
    dialogue.put(ToServer, client, server, Flags::ACK, b"a");
    assert_eq!(dialogue.heard(), [">a <b >c <d >.Idle <.Idle"]);
}

#[test]
fn a_near_acknowledgement_of_what_was_never_sent_loses_nothing() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b");
    let (seq, ahead) = (dialogue.next(ToServer), dialogue.next(ToClient) + 5000);
    dialogue.put(ToServer, seq, ahead, Flags::ACK, b"").pause(5000).answer("c").ask("d");
    assert_eq!(dialogue.heard()[0].split(' ').take(4).collect::<Vec<_>>(), [">a", "<b", "<c", ">d"]);
}

#[test]
fn a_side_whose_syn_is_lost_begins_where_it_was_first_acknowledged() {
    let mut dialogue = Dialogue::new(1000, 5000);
    dialogue.send(ToServer, Flags::SYN, b"").send(ToClient, Flags::SYN | Flags::ACK, b"").lose();
    dialogue.ask("").ask("a").answer("lost").lose().ask("b").answer("c").pause(200).ask("d").close();
    assert_eq!(dialogue.heard(), [">a >b <~4 <c >d >.Fin <.Fin"]);
}

#[test]
fn the_last_segment_of_the_handshake_tells_where_a_side_begins_whose_syn_is_missing() {
    let from_start = |speak: fn(&mut Dialogue)| {
        let mut dialogue = Dialogue::new(1000, 5000);
        dialogue.send(ToServer, Flags::SYN, b"").send(ToClient, Flags::SYN | Flags::ACK, b"").lose();
        speak(&mut dialogue);
        dialogue.answer("b").close();
        let (scribe, _) = super::dialogue::listen(&dialogue.packets);
        scribe.closed.iter().map(|heard| heard.info.from_start).collect::<Vec<_>>()
    };
    assert_eq!(from_start(|it| _ = it.ask("").ask("a")), [true]);
    // Of the others nobody knows what the server had said before them.
    assert_eq!(from_start(|it| _ = it.ask("a")), [false]);
    assert_eq!(from_start(|it| _ = it.ask("a").lose().ask("").ask("b")), [false]);
}

#[test]
fn acknowledged_bytes_that_never_come_are_a_gap_after_a_while() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("lost").lose().answer("one").pause(200).ask("two").answer("three");
    assert_eq!(dialogue.heard(), [">~4 <one >two <three >.Idle <.Idle"]);
    assert_eq!(dialogue.account().total().lost, 4);
}

#[test]
fn turns_keep_their_order_while_a_hole_before_them_is_waited_for() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("head").lose().ask("").answer("body").ask("b").answer("c").ask("d").answer("e");
    dialogue.pause(200).ask("f").answer("g");
    assert_eq!(dialogue.heard(), [">a <~4 <body >b <c >d <e >f <g >.Idle <.Idle"]);
}

#[test]
fn a_hole_that_was_acknowledged_later_is_waited_for_as_long() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("first").lose().answer("b").pause(60).ask("between").ask("second").answer("c");
    let late = dialogue.packets.remove(dialogue.packets.len() - 2);
    dialogue.pause(60).ask("d");
    dialogue.packets.push(Sent { at: late.at + 61_000, ..late });
    assert_eq!(dialogue.heard(), [">~5 <b >between >second <c >d >.Idle <.Idle"]);
}

#[test]
fn an_acknowledgement_far_ahead_is_believed_when_others_confirm_it() {
    for (times, expected) in [(1, ">a <b >c <d >e"), (3, ">a <~20971520 <b")] {
        let mut dialogue = Dialogue::begun();
        dialogue.ask("a");
        let (seq, far) = (dialogue.next(ToServer), dialogue.next(ToClient).wrapping_add(20 << 20));
        for _ in 0..times {
            dialogue.put(ToServer, seq, far, Flags::ACK, b"");
        }
        if times == 1 {
            dialogue.answer("b").pause(200).ask("c").answer("d").pause(200).ask("e");
        } else {
            dialogue.pause(200).put(ToClient, far, seq, Flags::ACK, b"b");
        }
        assert!(dialogue.heard()[0].starts_with(expected), "{times}: {:?}", dialogue.heard());
    }
}

#[test]
fn an_acknowledgement_that_its_sender_contradicts_is_withdrawn() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a");
    let (seq, ahead) = (dialogue.next(ToServer), dialogue.next(ToClient) + 5000);
    dialogue.put(ToServer, seq, ahead, Flags::ACK, b"").ask("b").ask("c").ask("d");
    dialogue.pause(200).answer("e").ask("f").answer("g");
    assert_eq!(dialogue.heard(), [">a >b >c >d <e >f <g >.Idle <.Idle"]);
}

#[test]
fn bytes_with_an_acknowledgement_that_is_withdrawn_do_not_wait_for_ever() {
    let mut dialogue = Dialogue::begun();
    let ahead = dialogue.next(ToClient) + 5000;
    dialogue.ask("a").ask("b");
    dialogue.packets.last_mut().into_iter().for_each(|packet| packet.ack = ahead);
    dialogue.ask("c").ask("d").ask("e").answer("f").pause(200).ask("g").pause(200).answer("h");
    assert_eq!(dialogue.heard(), [">a >b >c >d >e <f >g <h >.Idle <.Idle"]);
}

#[test]
fn two_sides_that_call_each_other_at_once_have_one_connection() {
    // RFC 9293, section 3.5, figure 8.
    let mut dialogue = Dialogue::new(1000, 5000);
    dialogue.send(ToServer, Flags::SYN, b"").send(ToClient, Flags::SYN, b"");
    let ack = Flags::SYN | Flags::ACK;
    dialogue.put(ToServer, 1000, 5001, ack, b"").put(ToClient, 5000, 1001, ack, b"");
    dialogue.ask("a").answer("b").close();
    assert_eq!(dialogue.heard(), [">a <b >.Fin <.Fin"]);
    assert_eq!(dialogue.ids()[0].client, std::net::SocketAddr::from(super::dialogue::CLIENT));
}

#[test]
fn a_keep_alive_probe_is_no_data() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("ask").answer("answer").pause(45_000);
    let (seq, ack) = (dialogue.next(ToServer) - 1, dialogue.next(ToClient));
    dialogue.put(ToServer, seq, ack, Flags::ACK, b"\0").put(ToServer, seq, ack, Flags::ACK, b"");
    dialogue.ask("more").close();
    assert_eq!(dialogue.heard(), [">ask <answer >more >.Fin <.Fin"]);
    assert_eq!(dialogue.account().to_server.keep_alive, 1);
    assert_eq!(dialogue.account().anomalies.iter().count(), 0);
}

#[test]
fn the_first_copy_wins_and_another_is_named() {
    let mut dialogue = Dialogue::begun();
    let (seq, ack) = (dialogue.next(ToServer), dialogue.next(ToClient));
    dialogue.ask("good").put(ToServer, seq, ack, Flags::ACK, b"evil").close();
    assert_eq!(dialogue.heard(), [">good >.Fin <.Fin"]);
    assert_eq!(dialogue.account().anomalies.of(Anomaly::ConflictingOverlap), 1);
    assert_eq!(dialogue.account().to_server.conflicting, 4);
}

#[test]
fn a_lost_fin_is_no_lost_byte() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b").send(ToServer, Flags::ACK | Flags::FIN, b"").lose();
    dialogue.send(ToClient, Flags::ACK | Flags::FIN, b"");
    assert_eq!(dialogue.heard(), [">a <b <.Fin >.Fin"]);
}

#[test]
fn a_reset_ends_both_directions_once_nothing_contradicts_it() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").send(ToServer, Flags::RST, b"").answer("in flight");
    assert_eq!(dialogue.heard(), [">a <in flight >.Reset <.Reset"]);
}

#[test]
fn a_reset_that_its_sender_goes_on_behind_is_not_believed() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").send(ToServer, Flags::RST, b"").ask("b").answer("c").close();
    assert_eq!(dialogue.heard(), [">a >b <c >.Fin <.Fin"]);
    assert_eq!(dialogue.account().anomalies.of(Anomaly::DataAfterReset), 1);
}

#[test]
fn a_reset_after_the_farewell_changes_nothing() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b").close().send(ToServer, Flags::RST, b"");
    assert_eq!(dialogue.heard(), [">a <b >.Fin <.Fin"]);
}

#[test]
fn an_injected_far_segment_is_dropped_and_counted() {
    let mut dialogue = Dialogue::begun();
    let (seq, ack) = (dialogue.next(ToServer), dialogue.next(ToClient));
    dialogue.ask("a").put(ToServer, seq.wrapping_add(1 << 29), ack, Flags::ACK, b"evil").answer("b").ask("c");
    assert_eq!(dialogue.heard(), [">a <b >c >.Idle <.Idle"]);
    assert_eq!(dialogue.account().to_server.out_of_window, 4);
}

#[test]
fn a_long_loss_is_one_gap_when_segments_go_on_behind_it() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a");
    let (far, ack) = (dialogue.next(ToServer).wrapping_add(20 << 20), dialogue.next(ToClient));
    for (offset, text) in [(0, b"b"), (1, b"c"), (2, b"d")] {
        dialogue.put(ToServer, far + offset, ack, Flags::ACK, text);
    }
    assert_eq!(dialogue.heard(), [format!(">a >~{} >b >c >d >.Idle <.Idle", 20 << 20)]);
}

#[test]
fn a_port_used_again_is_another_instance() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b").close();
    let mut again = Dialogue::new(900_000, 77);
    again.handshake().ask("c").answer("d").close();
    dialogue.packets.append(&mut again.packets);
    assert_eq!(dialogue.heard(), [">a <b >.Fin <.Fin", ">c <d >.Fin <.Fin"]);
    assert_eq!(dialogue.ids().iter().map(|id| id.instance).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_port_used_again_without_farewell_ends_the_first_instance() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b");
    let mut again = Dialogue::new(900_000, 77);
    again.handshake().ask("c").answer("d").close();
    dialogue.packets.append(&mut again.packets);
    assert_eq!(dialogue.heard(), [">a <b >.Idle <.Idle", ">c <d >.Fin <.Fin"]);
}

#[test]
fn a_forged_syn_that_nobody_answers_changes_nothing() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").put(ToServer, 77_777, 0, Flags::SYN, b"").answer("b").ask("c").answer("d").close();
    assert_eq!(dialogue.heard(), [">a <b >c <d >.Fin <.Fin"]);
}

#[test]
fn data_on_the_syn_is_the_start_of_the_stream() {
    let mut dialogue = Dialogue::new(u32::MAX, 5);
    dialogue.send(ToServer, Flags::SYN, b"early").send(ToClient, Flags::SYN | Flags::ACK, b"");
    dialogue.ask(" late").answer("ok").close();
    assert_eq!(dialogue.heard(), [">early > late <ok >.Fin <.Fin"]);
}

#[test]
fn one_direction_alone_is_told_of_and_named() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").answer("b").ask("c").answer("d").close();
    dialogue.packets.retain(|packet| packet.direction == ToServer);
    assert_eq!(dialogue.heard(), [">a >c >.Fin <.Idle"]);
    assert_eq!(dialogue.account().anomalies.of(Anomaly::OneDirection), 1);
}

#[test]
fn bytes_cut_by_the_snaplen_are_a_gap_in_their_place() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("head and body").answer("b").close();
    dialogue.packets[3].payload.truncate(4);
    dialogue.packets[3].cut = 9;
    assert_eq!(dialogue.heard(), [">head >~9 <b >.Fin <.Fin"]);
    // Down to nothing.
    dialogue.packets[3].payload.clear();
    dialogue.packets[3].cut = 13;
    assert_eq!(dialogue.heard(), [">~13 <b >.Fin <.Fin"]);
}

#[test]
fn data_beyond_the_fin_is_counted() {
    let mut dialogue = Dialogue::begun();
    dialogue.ask("a").send(ToServer, Flags::ACK | Flags::FIN, b"").ask("ghost");
    assert_eq!(dialogue.heard(), [">a >.Fin <.Idle"]);
    assert_eq!(dialogue.account().to_server.after_end, 5);
    assert_eq!(dialogue.account().anomalies.of(Anomaly::DataAfterFin), 1);
}
