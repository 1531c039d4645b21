//! Which request the response at hand answers: by the count, by the numbers, or by the likeliest guess.

use super::{Answering, Context, Moment, Pairing};
use crate::exchange::reader::Listener;

impl Pairing {
    /// Finds the request that the response at hand answers; those before it get no answer.
    pub(super) fn choose<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        let chosen = match self.answer_began.acked {
            _ if self.step.is_kept() => self.by_count(),
            Some(acked) if !self.step.is_pipelined() => self.by_numbers(acked),
            _ => self.by_guess(),
        };
        self.answering = Some(chosen);
        if let Answering::Request(place) = chosen {
            self.answer_none(place, self.doubt());
            self.at(place).into_iter().for_each(|open| open.is_answered = true);
            self.tell(context);
        }
    }

    fn by_count(&mut self) -> Answering {
        if self.awaited() == 0 {
            self.step.lose_count();
            return Answering::Nothing;
        }
        if self.step.is_in_middle() { self.by_first_count() } else { Answering::Request(self.next) }
    }

    /// In the middle of a connection the first answers may be those to requests from before the capture.
    fn by_first_count(&mut self) -> Answering {
        let (place, acked, doubt) = (self.next, self.answer_began.acked, self.doubt());
        let Some(open) = self.at(place) else { return Answering::Nothing };
        if acked.is_some_and(|acked| acked <= open.began.position) {
            return Answering::Nothing;
        }
        open.anomalies.insert(doubt);
        Answering::Request(place)
    }

    /// The response began when so much of the requests had been received.
    fn by_numbers(&mut self, acked: u64) -> Answering {
        let (next, end, position) = (self.next, self.end(), self.answer_began.position);
        let begun = self.open.partition_point(|open| open.began.position < acked);
        let place = (self.base + u32::try_from(begun).unwrap_or(u32::MAX)).saturating_sub(1);
        let (sure, doubt, read_since) = (self.step.is_sure(), self.doubt(), self.answered.since());
        let Some(open) = self.at(place).filter(|_| begun > 0) else { return Answering::Nothing };
        let follows = open.began.acked == Some(position);
        let beyond = open.hole.is_some_and(|hole| hole < acked) && open.is_whole();
        if place < next || (beyond && follows) {
            // A second answer to one request; or the only possible one, and it knows of another request.
            self.step.give_up_turns();
            return self.by_guess();
        }
        if beyond {
            return Answering::Nothing;
        }
        let goes_on = open.is_answered && open.began.acked.is_some_and(|acked| read_since <= acked);
        if !sure || !(follows || goes_on) {
            open.anomalies.insert(doubt);
        } else if place + 1 == end {
            self.step.note_exact();
        }
        Answering::Request(place)
    }

    /// The likeliest request, marked.
    fn by_guess(&mut self) -> Answering {
        let (acked, last) = (self.answer_began.acked, self.end().saturating_sub(1));
        let mut place = self.next.saturating_add(self.guess.take_lost_responses()).min(last.max(self.next));
        while place > self.next
            && let Some(open) = self.at(place)
            && acked.is_some_and(|acked| acked <= open.began.position)
        {
            place -= 1;
        }
        if self.guess.take_lost_request(place) {
            return Answering::Nothing;
        }
        let doubt = self.doubt();
        let Some(open) = self.at(place) else { return Answering::Nothing };
        open.anomalies.insert(doubt);
        Answering::Request(place)
    }

    /// Behind a hole, a client that takes turns got all answers to its earlier requests, or will get none.
    pub(super) fn pass_answered(&mut self, began: Moment) {
        let heard = began.acked.is_some_and(|acked| acked <= self.answered_at.position);
        let numbered = !self.step.is_kept() && !self.step.is_pipelined();
        if numbered && heard && self.answering.is_none() {
            self.answer_none(self.end(), self.doubt());
        }
    }
}
