//! What the viewer chose: view, row, whether the picture stands still.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use fleetstorm_reports::{Metric, Phase, Snapshot};

use crate::operator_command::OperatorCommand;

/// One screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum View {
    /// Progress, phases, one histogram, outcomes.
    #[default]
    Overview,
    /// The whole run on one axis of time.
    Timeline,
    /// Cohorts, transports, attestations.
    Cuts,
    /// Every attestation over every transport.
    Cells,
    /// The keys.
    Help,
}

#[cfg(test)]
impl View {
    /// Every one.
    pub(super) const ALL: [Self; 5] = [
        Self::Overview,
        Self::Timeline,
        Self::Cuts,
        Self::Cells,
        Self::Help,
    ];
}

/// Everything that is drawn from.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) view: View,
    /// Position in [`State::metrics`].
    pub(super) selected: usize,
    pub(super) frozen: bool,
    latest: Snapshot,
    shown: Snapshot,
}

impl State {
    /// Takes a new picture.
    pub(super) fn update(&mut self, snapshot: Snapshot) {
        if !self.frozen {
            self.shown = snapshot.clone();
        }
        self.latest = snapshot;
    }

    /// The picture that is shown.
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.shown
    }

    /// The metrics that are shown: what comes after provisioning only where devices do it. The time until
    /// failure is for the report: there is no room for what most runs have not.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let has_samples = |metric| self.shown.metrics.iter().any(|view| view.metric == metric);
        let comes_after =
            |metric| matches!(metric, Metric::Phase(phase) if Phase::AFTER.contains(&phase));
        let is_of_failed =
            |metric| matches!(metric, Metric::FailedResponse | Metric::FailedService);
        Metric::all()
            .filter(|metric| !is_of_failed(*metric))
            .filter(|metric| !comes_after(*metric) || has_samples(*metric))
            .collect()
    }

    /// The metric whose histogram is shown.
    pub(super) fn metric(&self) -> Metric {
        let metrics = self.metrics();
        metrics
            .get(self.selected)
            .copied()
            .unwrap_or(Metric::ProvisioningResponse)
    }

    /// Takes a key; says what to ask of the run, if anything.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<OperatorCommand> {
        // Raw mode makes Ctrl-C a key like others.
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Some(OperatorCommand::Stop);
        }
        match key.code {
            KeyCode::Char('q' | 's') => return Some(OperatorCommand::Stop),
            KeyCode::Up | KeyCode::Char('k') => {
                self.selected = self
                    .selected
                    .checked_sub(1)
                    .unwrap_or(self.metrics().len() - 1);
            }
            KeyCode::Down | KeyCode::Char('j') => {
                self.selected = (self.selected + 1) % self.metrics().len();
            }
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = self.metrics().len() - 1,
            KeyCode::Char(' ' | 'f') => self.freeze(),
            KeyCode::Char('1') => self.view = View::Overview,
            KeyCode::Char('2') => self.view = View::Timeline,
            KeyCode::Char('3') => self.view = View::Cuts,
            KeyCode::Char('4') => self.view = View::Cells,
            KeyCode::Tab => {
                self.view = match self.view {
                    View::Overview => View::Timeline,
                    View::Timeline => View::Cuts,
                    View::Cuts => View::Cells,
                    View::Cells | View::Help => View::Overview,
                };
            }
            KeyCode::Char('?' | 'h') if self.view != View::Help => self.view = View::Help,
            KeyCode::Char('?' | 'h') | KeyCode::Esc => self.view = View::Overview,
            _ => {}
        }
        None
    }

    fn freeze(&mut self) {
        self.frozen = !self.frozen;
        if !self.frozen {
            self.shown = self.latest.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(state: &mut State, code: KeyCode) -> Option<OperatorCommand> {
        state.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn a_frozen_picture_stands_still_until_it_is_thawed() {
        let mut state = State::default();
        let at = |elapsed_us| Snapshot {
            elapsed_us,
            ..Snapshot::default()
        };
        state.update(at(1));
        press(&mut state, KeyCode::Char(' '));
        state.update(at(2));
        assert_eq!(state.snapshot().elapsed_us, 1);
        press(&mut state, KeyCode::Char('f'));
        assert_eq!(state.snapshot().elapsed_us, 2);
    }

    #[test]
    fn rows_wrap_around() {
        let mut state = State::default();
        press(&mut state, KeyCode::Up);
        assert_eq!(state.metric().name(), "twin");
        press(&mut state, KeyCode::Char('j'));
        assert_eq!(state.metric().name(), "registration.response");
    }

    #[test]
    fn stopping_is_a_command_and_views_are_not() {
        let mut state = State::default();
        assert_eq!(press(&mut state, KeyCode::Tab), None);
        assert_eq!(state.view, View::Timeline);
        assert_eq!(press(&mut state, KeyCode::Char('?')), None);
        assert_eq!(state.view, View::Help);
        press(&mut state, KeyCode::Esc);
        assert_eq!(state.view, View::Overview);
        assert_eq!(
            press(&mut state, KeyCode::Char('s')),
            Some(OperatorCommand::Stop)
        );
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.key(ctrl_c), Some(OperatorCommand::Stop));
    }
}
