//! Colours, and what stands for them where colour is not wanted (no-color.org).

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// With colours.
    Coloured,
    /// With bold, dim and reversed alone.
    Plain,
}

impl Theme {
    /// Plain where `NO_COLOR` is set.
    pub(super) fn from_environment() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if no_color {
            Self::Plain
        } else {
            Self::Coloured
        }
    }

    fn colour(self, colour: Color, otherwise: Modifier) -> Style {
        match self {
            Self::Coloured => Style::new().fg(colour),
            Self::Plain => Style::new().add_modifier(otherwise),
        }
    }

    /// The tool's name, the selected row's mark.
    pub(super) fn accent(self) -> Style {
        self.colour(Color::Cyan, Modifier::BOLD)
    }

    /// What went as wanted.
    pub(super) fn good(self) -> Style {
        self.colour(Color::Green, Modifier::empty())
    }

    /// What did not.
    pub(super) fn bad(self) -> Style {
        self.colour(Color::Red, Modifier::BOLD)
    }

    /// What needs a look.
    pub(super) fn warning(self) -> Style {
        self.colour(Color::Yellow, Modifier::BOLD)
    }

    /// What stands back: labels, frames, the target.
    pub(super) fn dim(self) -> Style {
        self.colour(Color::DarkGray, Modifier::DIM)
    }

    /// Headings.
    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The selected row.
    pub(super) fn selected(self) -> Style {
        match self {
            Self::Coloured => Style::new()
                .bg(Color::Indexed(237))
                .add_modifier(Modifier::BOLD),
            Self::Plain => Style::new().add_modifier(Modifier::REVERSED),
        }
    }
}
