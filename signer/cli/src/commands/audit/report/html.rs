//! A page that foreign text cannot get into unescaped: markup is only ever a literal of this program.

use std::fmt::{Display, Write as _};

/// Markup and text.
#[derive(Default)]
pub(super) struct Html(String);

/// What has no characters that could be markup.
pub(super) trait Figure: Display {}
impl Figure for u64 {}
impl Figure for usize {}
impl Figure for u32 {}
impl Figure for stele_core::types::Time {}
impl Figure for stele_core::types::Digest {}

impl Html {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A number.
    pub(super) fn n(&mut self, number: impl Figure) -> &mut Self {
        let _ = write!(self.0, "{number}");
        self
    }

    /// A coordinate.
    pub(super) fn xy(&mut self, value: f64) -> &mut Self {
        let _ = write!(self.0, "{value:.1}");
        self
    }

    /// Text, also within an attribute's double quotes. Whatever could be markup, or could make text look like other
    /// text (control characters, changes of direction), is written out.
    pub(super) fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        for c in text.as_ref().chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if c.is_control() || is_invisible(c) => {
                    let _ = write!(self.0, "{}", c.escape_unicode());
                }
                c => self.0.push(c),
            }
        }
        self
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Characters that change the direction of their neighbours or have no width.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// At most so many characters of a text, with an ellipsis where it is longer.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_never_markup() {
        let mut html = Html::default();
        html.raw("<p title=\"")
            .text("\" onload='x' <script>&\u{202e}\n\0")
            .raw("\">");
        assert_eq!(
            html.finish(),
            "<p title=\"&quot; onload=&#39;x&#39; &lt;script&gt;&amp;\\u{202e}\\u{a}\\u{0}\">"
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(short("äöü", 3), "äöü");
        assert_eq!(short("äöüß", 3), "äö…");
    }
}
