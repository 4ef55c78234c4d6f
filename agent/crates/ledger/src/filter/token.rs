//! Words, texts and signs of a filter, each with its place.

use super::FilterError;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// A bare word: a name, a keyword, or a value without blanks and signs.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    Open,
    Close,
    Comma,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Token {
    /// How the token is called in errors.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Quoted(text) => format!("\"{text}\""),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::Equal => "`=`".to_owned(),
            Self::NotEqual => "`!=`".to_owned(),
            Self::Less => "`<`".to_owned(),
            Self::LessOrEqual => "`<=`".to_owned(),
            Self::Greater => "`>`".to_owned(),
            Self::GreaterOrEqual => "`>=`".to_owned(),
        }
    }
}

/// A token and the column of its first character, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) column: usize,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, FilterError> {
    let mut tokens = Vec::new();
    let mut chars = (1_usize..).zip(text.chars()).peekable();
    while let Some((column, char)) = chars.next() {
        let mut or_equal = |with: Token, without: Token| {
            if chars.next_if(|(_, next)| *next == '=').is_some() { with } else { without }
        };
        let token = match char {
            _ if char.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => or_equal(Token::Equal, Token::Equal),
            '<' => or_equal(Token::LessOrEqual, Token::Less),
            '>' => or_equal(Token::GreaterOrEqual, Token::Greater),
            '!' => {
                if chars.next_if(|(_, next)| *next == '=').is_none() {
                    let message = "found `!`, expected `!=`, or `not` before a condition".to_owned();
                    return Err(FilterError { column, message, suggestion: None });
                }
                Token::NotEqual
            }
            '"' | '\'' => Token::Quoted(quoted(&mut chars, char, column)?),
            _ if is_of_word(char) => {
                let mut word = String::from(char);
                while let Some((_, next)) = chars.next_if(|(_, next)| is_of_word(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => {
                let message = format!("found `{}`: a value with it stands in quotes", char.escape_debug());
                return Err(FilterError { column, message, suggestion: None });
            }
        };
        tokens.push(Placed { token, column });
    }
    Ok(tokens)
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || "._-/:*@+%~".contains(char)
}

fn quoted(
    chars: &mut impl Iterator<Item = (usize, char)>,
    quote: char,
    column: usize,
) -> Result<String, FilterError> {
    let mut text = String::new();
    while let Some((_, char)) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            _ if char == quote => return Ok(text),
            _ => text.push(char),
        }
    }
    Err(FilterError {
        column,
        message: format!("the text that begins here has no {quote} at its end"),
        suggestion: None,
    })
}
