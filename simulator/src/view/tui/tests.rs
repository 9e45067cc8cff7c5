//! Screens from a canned picture, at both sizes.

use fleetstorm_reports::held::HeldDevices;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::fixture::{snapshot, throttle};
use super::screen::draw;
use super::state::{State, View};
use super::theme::Theme;

fn screen(
    width: u16,
    height: u16,
    theme: Theme,
    change: impl Fn(&mut State),
) -> Terminal<TestBackend> {
    let mut state = State::default();
    state.update(snapshot());
    change(&mut state);
    let mut terminal =
        Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
    terminal
        .draw(|frame| draw(frame, &state, theme))
        .expect("memory");
    terminal
}

#[test]
fn overview_80x24() {
    insta::assert_snapshot!(screen(80, 24, Theme::Plain, |state| state.selected = 7).backend());
}

#[test]
fn overview_120x40() {
    insta::assert_snapshot!(screen(120, 40, Theme::Plain, |state| state.selected = 7).backend());
}

#[test]
fn devices_that_stay_have_a_line_of_their_own() {
    for (width, height) in [(80, 24), (120, 40)] {
        let screen = screen(width, height, Theme::Plain, |state| {
            let mut lived = snapshot();
            lived.held = HeldDevices {
                now: 17,
                most: 200,
                dropped: 170,
                reconnected: 12,
                given_up: 3,
                messages: 1_234_567,
                ..HeldDevices::default()
            };
            lived.reprovisions = 167;
            state.update(lived);
        });
        let text = screen.backend().to_string();
        let line = "held 17  lost 170  back 12  gone 3  sent 1,234,567  reprovisions 167";
        assert!(text.contains(line), "{text}");
        assert!(text.contains(" cpu "), "{text}");
    }
}

#[test]
fn timeline_80x24() {
    let timeline = |state: &mut State| {
        let mut snapshot = snapshot();
        snapshot.events = vec![throttle()];
        state.update(snapshot);
        state.view = View::Timeline;
    };
    insta::assert_snapshot!(screen(80, 24, Theme::Plain, timeline).backend());
}

#[test]
fn timeline_120x40() {
    insta::assert_snapshot!(
        screen(120, 40, Theme::Plain, |state| state.view = View::Timeline).backend()
    );
}

#[test]
fn cuts_80x24() {
    insta::assert_snapshot!(
        screen(80, 24, Theme::Plain, |state| state.view = View::Cuts).backend()
    );
}

#[test]
fn cells_80x24() {
    insta::assert_snapshot!(
        screen(80, 24, Theme::Plain, |state| state.view = View::Cells).backend()
    );
}

#[test]
fn help_80x24() {
    insta::assert_snapshot!(
        screen(80, 24, Theme::Plain, |state| state.view = View::Help).backend()
    );
}

#[test]
fn a_metric_without_samples_says_so() {
    let terminal = screen(80, 24, Theme::Plain, |state| state.selected = 6);
    assert!(terminal.backend().to_string().contains("no samples yet"));
}

#[test]
fn without_colour_nothing_is_coloured() {
    for (theme, coloured) in [(Theme::Plain, false), (Theme::Coloured, true)] {
        for view in View::ALL {
            let terminal = screen(120, 40, theme, |state| state.view = view);
            let cells = terminal.backend().buffer().content();
            let any = cells
                .iter()
                .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert_eq!(any, coloured, "{theme:?} {view:?}");
        }
    }
}

#[test]
fn no_size_is_too_small_to_survive() {
    for (width, height) in [
        (1, 1),
        (10, 3),
        (72, 20),
        (73, 21),
        (109, 33),
        (110, 34),
        (300, 100),
    ] {
        for view in View::ALL {
            screen(width, height, Theme::Coloured, |state| state.view = view);
        }
    }
}
