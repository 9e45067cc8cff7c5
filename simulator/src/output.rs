//! What a command is asked to write beside the report, as `--output` names it.

use std::path::PathBuf;
use std::str::FromStr;

use fleetstorm_reports::render::format::Format;

/// One of them: `FORMAT`, into the report folder, or `FORMAT=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// As what.
    pub format: Format,
    /// Where to, if not to its name in the report folder.
    pub path: Option<PathBuf>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(path)),
            None => (text, None),
        };
        let format = Format::ALL.into_iter().find(|format| format.name() == name);
        let format = format.ok_or_else(|| {
            let names = Format::ALL.map(|format| format!("\"{}\"", format.name()));
            format!(
                "there is no format \"{name}\": write {}",
                names.join(" or ")
            )
        })?;
        if path == Some("") {
            return Err(format!("\"{name}=\" names no file"));
        }
        let path = path.map(PathBuf::from);
        Ok(Self { format, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_may_have_a_place() {
        let read = |text: &str| text.parse::<Output>();
        let named = Output {
            format: Format::Junit,
            path: Some("a=b.xml".into()),
        };
        assert_eq!(read("junit=a=b.xml"), Ok(named));
        assert!(read("markdown").is_ok_and(|output| output.path.is_none()));
        assert!(read("pdf").is_err_and(|problem| problem.contains("\"markdown\"")));
        assert!(read("junit=").is_err());
    }
}
