//! From the order of the capture to the lanes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::budget::Budget;
use super::engine::{Job, Settings};
use super::lanes::{How, LaneKey};
use super::order::Lanewise;
use super::pace::Schedule;
use super::serving::{Serving, Waiting, later};
use crate::stream::{Closing, ConnectionId};

/// What a waiting job costs besides its bytes.
const JOB_OVERHEAD: usize = 1024;

/// Gives work to the lanes, and each lane that has some a worker.
pub(super) struct Dispatcher<T> {
    serving: Arc<Serving<T>>,
    schedule: Schedule,
    /// How many requests were put into lanes.
    number: u64,
    lanewise: Lanewise,
    budget: Arc<Budget>,
    workers: JoinSet<()>,
    /// Connections that are closed when that is due.
    closings: JoinSet<()>,
    all_sent: watch::Sender<bool>,
}

impl<T: Send + 'static> Dispatcher<T> {
    pub(super) fn new(settings: &Settings, parts: u32, serving: Arc<Serving<T>>) -> Self {
        Self {
            serving,
            schedule: Schedule::new(settings.speed, settings.rate),
            number: 0,
            lanewise: Lanewise::new(settings.order),
            budget: Budget::new(settings.budget, parts),
            workers: JoinSet::new(),
            closings: JoinSet::new(),
            all_sent: watch::Sender::new(false),
        }
    }

    /// Puts a request into its lane, as soon as the budget has room for it.
    pub(super) async fn send(&mut self, job: Box<Job<T>>) {
        let share = self.budget.take(job.cost()).await;
        let serving = &self.serving;
        let start = serving.begin();
        let due = self.schedule.due(job.request.captured);
        serving.watch.scheduled(due);
        let due = due.map(|due| later(start, due));
        let lane = self.lanewise.lane(job.connection);
        let number = self.number;
        self.number += 1;
        let key = LaneKey { connection: lane, destination: job.destination };
        if serving.push(key, Waiting { job, number, due, share }) {
            self.workers.spawn(Arc::clone(serving).work(key));
        }
        if self.lanewise.is_single() {
            serving.end(lane, How::Close);
        }
    }

    /// Has the connections of a captured one closed as it was: at once, or when that is due.
    pub(super) fn end(&mut self, connection: ConnectionId, closing: Option<Closing>) {
        let Some(lane) = self.lanewise.ended(connection) else { return };
        let (serving, how) = (&self.serving, How::of(closing));
        let due = closing.and_then(|closing| self.schedule.moment(closing.at));
        match due.filter(|_| serving.is_open(lane)) {
            Some(due) => {
                let (at, all_sent) = (later(serving.begin(), due), self.all_sent.subscribe());
                self.closings.spawn(Arc::clone(serving).end_at(lane, how, at, all_sent));
            }
            None => serving.end(lane, how),
        }
    }

    /// Lets go of the tasks that are over.
    pub(super) fn reap(&mut self) {
        while self.workers.try_join_next().is_some() {}
        while self.closings.try_join_next().is_some() {}
    }

    /// Waits until all has been sent.
    pub(super) async fn finish(mut self) {
        self.serving.desk.close();
        while self.workers.join_next().await.is_some() {}
        // Nobody waits for connections that v1's clients kept open without asking anything more.
        self.all_sent.send_replace(true);
        while self.closings.join_next().await.is_some() {}
    }
}

impl<T> Job<T> {
    /// How much of the budget it takes.
    fn cost(&self) -> usize {
        self.request.head.len() + self.request.body.kept().len() + self.weight + JOB_OVERHEAD
    }
}
