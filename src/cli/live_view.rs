//! `shadowcap live --ui`: the run on the whole terminal, drawn anew a few times a second.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};
use rustix::process::{Signal, getpid, kill_process};

use crate::diff::Verdict;
use crate::pipeline::live::{View, Watch};
use crate::report::visible;

/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(250);
/// Over how long a rate is taken.
const SECOND: Duration = Duration::from_secs(1);
/// Rates that are remembered for the curve.
const CURVE: usize = 240;

/// The view, until it is dropped; then the terminal is as it was.
pub(super) struct LiveView {
    stop: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

impl LiveView {
    /// Whether there is a terminal to draw on.
    pub(super) fn is_possible() -> bool {
        io::stdout().is_terminal() && io::stdin().is_terminal()
    }

    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub(super) fn start(title: String, watch: Arc<Watch>) -> io::Result<Self> {
        let mut terminal = ratatui::try_init()?;
        let (stop, stopped) = mpsc::channel();
        let draw = move || {
            let mut screen = Screen::new(title);
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                screen.take(watch.view(), Instant::now());
                // What cannot be drawn now may be drawn next time.
                let _ = terminal.draw(|frame| screen.draw(frame));
                heed_keys();
            }
            ratatui::restore();
        };
        let drawing = match thread::Builder::new().name("view".to_owned()).spawn(draw) {
            Ok(thread) => thread,
            Err(error) => {
                ratatui::restore();
                return Err(error);
            }
        };
        Ok(Self { stop: Some(stop), drawing: Some(drawing) })
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

/// Waits a frame long for keys. The terminal makes no signals of them while it is ours.
fn heed_keys() {
    let deadline = Instant::now() + FRAME;
    while let left = deadline.saturating_duration_since(Instant::now())
        && event::poll(left).unwrap_or(false)
    {
        if let Ok(Event::Key(key)) = event::read()
            && ends(key)
        {
            let _ = kill_process(getpid(), Signal::INT);
        }
    }
}

/// Whether a key asks for the end.
fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!((key.code, control), (KeyCode::Char('c'), true) | (KeyCode::Char('q'), false))
}

/// What stands on the screen.
struct Screen {
    title: String,
    began: Instant,
    view: View,
    /// Requests at moments of the last second.
    recent: VecDeque<(Instant, u64)>,
    /// Requests per second, the latest last.
    rates: VecDeque<u64>,
}

impl Screen {
    fn new(title: String) -> Self {
        let (recent, rates) = (VecDeque::new(), VecDeque::new());
        Self { title, began: Instant::now(), view: View::default(), recent, rates }
    }

    /// The run as it is at this moment.
    fn take(&mut self, view: View, now: Instant) {
        self.recent.push_back((now, view.requests));
        while self.recent.len() > 2
            && let Some((at, _)) = self.recent.front()
            && now.duration_since(*at) > SECOND
        {
            self.recent.pop_front();
        }
        self.rates.push_back(self.rate());
        if self.rates.len() > CURVE {
            self.rates.pop_front();
        }
        self.view = view;
    }

    /// Requests per second, lately.
    fn rate(&self) -> u64 {
        let (Some((from, before)), Some((to, after))) = (self.recent.front(), self.recent.back()) else {
            return 0;
        };
        let millis = u64::try_from(to.duration_since(*from).as_millis()).unwrap_or(u64::MAX);
        (after - before) * 1000 / millis.max(1)
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let notes = self.notes();
        let notes_height = u16::try_from(notes.len()).unwrap_or(u16::MAX);
        let [head, counts, shares, rest, below] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(9),
            Constraint::Length(3),
            Constraint::Min(3),
            Constraint::Length(notes_height),
        ])
        .areas(frame.area());
        let [numbers, curve] =
            Layout::horizontal([Constraint::Length(46), Constraint::Min(10)]).areas(counts);
        let time = self.began.elapsed().as_secs();
        let title = format!("{}   {:02}:{:02}:{:02}", self.title, time / 3600, time / 60 % 60, time % 60);
        frame.render_widget(Paragraph::new(title.bold()), head);
        frame.render_widget(self.numbers(), numbers);
        self.draw_curve(frame, curve);
        self.draw_shares(frame, shares);
        frame.render_widget(self.top(), rest);
        frame.render_widget(Paragraph::new(notes).fg(Color::Yellow), below);
    }

    fn numbers(&self) -> Paragraph<'static> {
        let view = &self.view;
        let shed: u64 = view.shed.iter().map(|(_, count)| count).sum();
        let reasons: Vec<_> = view.shed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let delay = match view.delay {
            Some((median, most)) => format!("{median:.1?} median, {most:.1?} for 99 of 100"),
            None => "-".to_owned(),
        };
        let line =
            |name: &str, value: String| Line::from(vec![Span::raw(format!("{name:10}")).dim(), value.into()]);
        Paragraph::new(vec![
            line("rate", format!("{} requests/s", self.rate())),
            line("requests", view.requests.to_string()),
            line("in flight", view.in_flight.to_string()),
            line("lateness", delay),
            line("skipped", view.skipped.to_string()),
            line("shed", if shed == 0 { "0".to_owned() } else { reasons.join(", ") }),
            line("packets", view.packets.to_string()),
            line(
                "dropped",
                format!("{} kernel, {} interface", view.dropped_by_kernel, view.dropped_by_interface),
            ),
        ])
    }

    fn draw_curve(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = Block::new().title(Line::from("requests/s").dim());
        let room = usize::from(area.width);
        let skipped = self.rates.len().saturating_sub(room);
        let rates = self.rates.iter().skip(skipped).copied();
        frame.render_widget(
            Sparkline::default().block(block).data(rates).style(Style::new().fg(Color::Cyan)),
            area,
        );
    }

    /// A bar of the verdicts, each as wide as its share, and their counts.
    fn draw_shares(&self, frame: &mut Frame<'_>, area: Rect) {
        let verdicts = &self.view.verdicts;
        let all = verdicts.in_all();
        let (mut bar, mut words) = (Vec::new(), Vec::new());
        for verdict in Verdict::ALL {
            let count = verdicts.of(verdict);
            let color = color(verdict);
            let width = count * u64::from(area.width) / all.max(1);
            // What there is is seen, however little it is.
            let width = usize::try_from(width.max(u64::from(count > 0))).unwrap_or(0);
            bar.push(Span::styled(" ".repeat(width), Style::new().bg(color)));
            words.push(Span::styled(
                format!("{count} {}   ", verdict.name().replace('_', " ")),
                Style::new().fg(color),
            ));
        }
        frame.render_widget(Paragraph::new(vec![Line::from(bar), Line::from(words)]), area);
    }

    fn top(&self) -> Paragraph<'static> {
        let block = Block::new().title(Line::from("differences that count").dim());
        let lines = self.view.top.iter().map(|(what, count)| {
            Line::from(vec![Span::raw(format!("{count:>8}  ")).bold(), visible(what).into_owned().into()])
        });
        let lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            return Paragraph::new("    none so far").block(block);
        }
        Paragraph::new(lines).block(block)
    }

    /// What went wrong, and how to end.
    fn notes(&self) -> Vec<Line<'static>> {
        let gone = self.view.gone.iter().map(|what| format!("gone: {what}"));
        let mut notes: Vec<_> = gone
            .chain(self.view.not_kept.clone())
            .chain(self.view.not_stored.clone())
            .map(Line::from)
            .collect();
        notes.push(Line::from("q or Ctrl-C: end, with the report").dim());
        notes
    }
}

const fn color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Match => Color::Green,
        Verdict::Noise => Color::Blue,
        Verdict::Different => Color::Red,
        Verdict::Failed => Color::Magenta,
        Verdict::NotComparable => Color::DarkGray,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::replay::SkipReason;
    use crate::report::Verdicts;

    fn drawn(view: View, width: u16, height: u16) -> String {
        let mut screen = Screen::new("shadowcap live: eth0".to_owned());
        let start = screen.began;
        screen.take(View::default(), start);
        screen.take(view, start + Duration::from_millis(500));
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_screen_shows_rate_shares_differences_and_losses() {
        let text = drawn(
            View {
                requests: 600,
                in_flight: 7,
                packets: 9000,
                dropped_by_kernel: 3,
                shed: vec![(SkipReason::QueueFull, 11)],
                delay: Some((Duration::from_micros(1200), Duration::from_millis(9))),
                verdicts: Verdicts { matching: 500, different: 80, ..Verdicts::default() },
                top: vec![("GET /a status: another value".to_owned(), 80)],
                gone: vec!["eth1: it is down".to_owned()],
                ..View::default()
            },
            100,
            24,
        );
        for part in [
            "shadowcap live: eth0",
            "1200 requests/s",
            "in flight 7",
            "1.2ms median, 9.0ms for 99 of 100",
            "11 queue-full",
            "3 kernel, 0 interface",
            "500 match",
            "80 different",
            "80  GET /a status: another value",
            "gone: eth1: it is down",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_small_terminal_is_no_failure() {
        for (width, height) in [(1, 1), (20, 5), (40, 10)] {
            drawn(View::default(), width, height);
        }
    }

    #[test]
    fn control_c_and_q_end_it() {
        let key = |code, modifiers| KeyEvent::new(KeyCode::Char(code), modifiers);
        assert!(ends(key('c', KeyModifiers::CONTROL)) && ends(key('q', KeyModifiers::NONE)));
        assert!(!ends(key('c', KeyModifiers::NONE)) && !ends(key('x', KeyModifiers::CONTROL)));
    }
}
