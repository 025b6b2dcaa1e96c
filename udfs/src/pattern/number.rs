//! Numbers by pattern: `NUM_processor` of PostgreSQL's `formatting.c`, for `to_char` in the C locale.

use super::digits::Digits;
use super::lexer::{Affixes, Item, Ordinal, items};
use datafusion::common::{Result, plan_err};

/// PostgreSQL's template patterns for numeric formatting, each case of them that it knows.
const KEYWORDS: &[&str] = &[
    ",", ".", "0", "9", "B", "C", "D", "EEEE", "E", "FM", "G", "L", "MI", "PL", "PR", "RN", "SG", "SP", "S", "TH", "V",
    "b", "c", "d", "eeee", "e", "fm", "g", "l", "mi", "pl", "pr", "rn", "sg", "sp", "s", "th", "v",
];

/// Where a locale's sign goes: `S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignPlace {
    Before,
    After,
}

/// A pattern, cut, and what its items say together.
#[derive(Debug)]
pub(super) struct NumberPattern {
    items: Vec<Item>,
    /// Digits before and after the point.
    pre: usize,
    post: usize,
    /// Digits after `V`.
    multi: usize,
    has_point: bool,
    has_zero: bool,
    fills: bool,
    has_plus: bool,
    has_minus: bool,
    has_brackets: bool,
    is_shifted: bool,
    sign_place: Option<SignPlace>,
    digits_before_sign: usize,
    zero_start: usize,
    zero_end: usize,
}

impl NumberPattern {
    /// Cuts a pattern and checks it.
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let mut this = Self {
            items: items(pattern, KEYWORDS, Affixes::Keywords)?,
            pre: 0,
            post: 0,
            multi: 0,
            has_point: false,
            has_zero: false,
            fills: false,
            has_plus: false,
            has_minus: false,
            has_brackets: false,
            is_shifted: false,
            sign_place: None,
            digits_before_sign: 0,
            zero_start: 0,
            zero_end: 0,
        };
        let words: Vec<String> = this
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Keyword { word, .. } => Some(word.to_ascii_uppercase()),
                Item::Text(_) => None,
            })
            .collect();
        for word in &words {
            this.take(word)?;
        }
        Ok(this)
    }

    fn take(&mut self, word: &str) -> Result<()> {
        match word {
            "9" if self.has_brackets => return plan_err!("\"9\" must be ahead of \"PR\""),
            "9" if self.is_shifted => self.multi += 1,
            "9" if self.has_point => self.post += 1,
            "9" => self.pre += 1,
            "0" if self.has_brackets => return plan_err!("\"0\" must be ahead of \"PR\""),
            "0" => {
                if !self.has_zero && !self.has_point {
                    self.has_zero = true;
                    self.zero_start = self.pre;
                }
                if self.has_point {
                    self.post += 1
                } else {
                    self.pre += 1
                }
                self.zero_end = self.pre + self.post;
            }
            "." | "D" if self.has_point => return plan_err!("multiple decimal points"),
            "." | "D" if self.is_shifted => return plan_err!("cannot use \"V\" and decimal point together"),
            "." | "D" => self.has_point = true,
            "FM" => self.fills = true,
            "S" if self.sign_place.is_some() => return plan_err!("cannot use \"S\" twice"),
            "S" if self.has_plus || self.has_minus || self.has_brackets => {
                return plan_err!("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
            }
            "S" if self.has_point => self.sign_place = Some(SignPlace::After),
            "S" => {
                self.sign_place = Some(SignPlace::Before);
                self.digits_before_sign = self.pre;
            }
            "MI" | "PL" | "SG" if self.sign_place.is_some() => {
                return plan_err!("cannot use \"S\" and \"{word}\" together");
            }
            "MI" => self.has_minus = true,
            "PL" => self.has_plus = true,
            "SG" => (self.has_plus, self.has_minus) = (true, true),
            "PR" if self.sign_place.is_some() || self.has_plus || self.has_minus => {
                return plan_err!("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
            }
            "PR" => self.has_brackets = true,
            "V" if self.has_point => return plan_err!("cannot use \"V\" and decimal point together"),
            "V" => self.is_shifted = true,
            "EEEE" | "RN" => return plan_err!("to_char does not offer the pattern {word}"),
            _ => {}
        }
        Ok(())
    }

    /// How many digits after the point it shows.
    pub(super) fn places(&self) -> usize {
        self.post
    }

    /// Shows a number.
    ///
    /// # Errors
    /// An ordinal suffix where the pattern shows no digit.
    pub(super) fn show(&self, number: &Digits, out: &mut String) -> Result<()> {
        let (whole, fraction) = match self.multi {
            0 => number.rounded(self.post),
            places => number.clone().shifted(places).rounded(self.post),
        };
        let pre = self.pre + self.multi;
        // What is rounded to zero has no sign.
        let is_zero = whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0');
        let is_negative = number.is_negative && !is_zero;
        let mut text = whole;
        if self.post > 0 {
            text.push('.');
            text.push_str(&fraction);
        }
        let whole_digits = text.find('.').unwrap_or(text.len());
        if whole_digits > pre {
            // Too many digits for the pattern.
            text = format!("{:#<pre$}.{:#<post$}", "", "", post = self.post);
        }
        let spaces = pre.saturating_sub(whole_digits);
        Processor::new(self, is_negative, text.into_bytes(), spaces, pre).run(out)
    }
}

/// One run over the items; names follow `NUMProc`.
struct Processor<'a> {
    pattern: &'a NumberPattern,
    is_negative: bool,
    number: Vec<u8>,
    /// The next character of the number.
    at: usize,
    out_pre_spaces: usize,
    num_count: usize,
    num_curr: usize,
    num_in: bool,
    sign_wrote: bool,
    has_brackets: bool,
    sign_place: Option<SignPlace>,
    /// The last digit after the point that counts, with FM: zeros after it are left out.
    last_relevant: Option<usize>,
}

impl<'a> Processor<'a> {
    fn new(pattern: &'a NumberPattern, is_negative: bool, number: Vec<u8>, out_pre_spaces: usize, pre: usize) -> Self {
        let mut this = Self {
            pattern,
            is_negative,
            number,
            at: 0,
            out_pre_spaces,
            num_count: (pattern.post + pre).saturating_sub(1),
            num_curr: 0,
            num_in: false,
            sign_wrote: false,
            has_brackets: pattern.has_brackets,
            sign_place: pattern.sign_place,
            last_relevant: None,
        };
        if pattern.has_plus || pattern.has_minus {
            this.sign_wrote = !pattern.has_plus || pattern.has_minus;
        } else {
            if !is_negative && pattern.fills {
                this.has_brackets = false;
            }
            this.sign_wrote = !is_negative && pattern.fills && pattern.sign_place.is_none();
            if pattern.sign_place == Some(SignPlace::Before) && pre == pattern.digits_before_sign {
                this.sign_place = Some(SignPlace::After);
            }
        }
        if pattern.fills && pattern.has_point {
            this.last_relevant = this.last_relevant_digit();
        }
        if !this.sign_wrote && this.out_pre_spaces == 0 {
            this.num_count += 1;
        }
        this
    }

    fn last_relevant_digit(&self) -> Option<usize> {
        let point = self.number.iter().position(|c| *c == b'.')?;
        let last = self.number[point..].iter().rposition(|c| *c != b'0').map_or(point, |at| point + at);
        // Digits where the pattern has a zero stay.
        if self.pattern.zero_end > self.out_pre_spaces {
            let last_zero = (self.number.len() - 1).min(self.pattern.zero_end - self.out_pre_spaces);
            return Some(last.max(last_zero));
        }
        Some(last)
    }

    fn run(mut self, out: &mut String) -> Result<()> {
        for item in &self.pattern.items {
            match item {
                Item::Text(character) => out.push(*character),
                Item::Keyword { word, .. } => self.keyword(word, out)?,
            }
        }
        Ok(())
    }

    fn keyword(&mut self, word: &str, out: &mut String) -> Result<()> {
        let fills = self.pattern.fills;
        match word.to_ascii_uppercase().as_str() {
            "9" | "0" | "." | "D" => self.digit(word == "0", out),
            "," | "G" if self.num_in => out.push(','),
            // The C locale's currency sign is a blank.
            "L" => out.push(' '),
            "MI" if self.is_negative => out.push('-'),
            "PL" if !self.is_negative => out.push('+'),
            "," | "G" | "MI" | "PL" if !fills => out.push(' '),
            "SG" => out.push(self.sign()),
            "TH" if self.number.first() == Some(&b'#') || self.is_negative || self.pattern.has_point => {}
            "TH" if !self.number.last().is_some_and(u8::is_ascii_digit) => {
                return plan_err!("to_char has no number for the suffix {word}");
            }
            "TH" => {
                let digits = String::from_utf8_lossy(&self.number);
                let case = if word == "TH" { Ordinal::Upper } else { Ordinal::Lower };
                out.push_str(case.of(&digits));
            }
            _ => {}
        }
        Ok(())
    }

    fn sign(&self) -> char {
        if self.is_negative { '-' } else { '+' }
    }

    fn current(&self) -> Option<u8> {
        self.number.get(self.at).copied()
    }

    /// `9.9` shows 0.1 as ` .1`.
    fn is_blank_before_point(&self) -> bool {
        !self.pattern.has_zero && self.at == 0 && self.number.first() == Some(&b'0') && self.pattern.post != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&b'.'))
    }

    fn write_sign(&mut self, out: &mut String) {
        match self.sign_place {
            Some(SignPlace::Before) => out.push(self.sign()),
            Some(SignPlace::After) => return,
            None if self.has_brackets => out.push(if self.is_negative { '<' } else { ' ' }),
            None if self.is_negative => out.push('-'),
            None if !self.pattern.fills => out.push(' '),
            None => {}
        }
        self.sign_wrote = true;
    }

    fn digit(&mut self, is_zero: bool, out: &mut String) {
        let NumberPattern { fills, has_zero, zero_start, .. } = *self.pattern;
        self.num_in = false;
        let begins = self.num_curr >= self.out_pre_spaces || has_zero && zero_start == self.num_curr;
        if !self.sign_wrote && begins && (!self.is_blank_before_point() || self.ends_at_point()) {
            self.write_sign(out);
        }
        if self.num_curr < self.out_pre_spaces && (zero_start > self.num_curr || !has_zero) {
            if !fills {
                out.push(' ');
            }
        } else if has_zero && self.num_curr < self.out_pre_spaces && zero_start <= self.num_curr {
            out.push('0');
            self.num_in = true;
        } else {
            self.number_part(is_zero, out);
            if self.current().is_some() {
                self.at += 1;
            }
        }
        let mut end = self.num_count + usize::from(self.out_pre_spaces > 0) + usize::from(self.pattern.has_point);
        if self.last_relevant == Some(self.at) {
            end = self.num_curr;
        }
        if self.num_curr + 1 == end {
            if self.sign_wrote && self.has_brackets {
                out.push(if self.is_negative { '>' } else { ' ' });
            } else if self.sign_place == Some(SignPlace::After) {
                out.push(self.sign());
            }
        }
        self.num_curr += 1;
    }

    fn number_part(&mut self, is_zero: bool, out: &mut String) {
        let fills = self.pattern.fills;
        match self.current() {
            // With FM nothing may follow the point, which then stays.
            Some(b'.') => {
                if !self.ends_at_point() || fills {
                    out.push('.');
                }
            }
            _ if self.last_relevant.is_some_and(|last| self.at > last) && !is_zero => {}
            _ if self.is_blank_before_point() => {
                if !fills {
                    out.push(' ');
                } else if self.ends_at_point() {
                    out.push('0');
                }
            }
            Some(character) => {
                out.push(char::from(character));
                self.num_in = true;
            }
            None => self.num_in = true,
        }
    }
}
