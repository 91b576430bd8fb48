//! A JSON value as one canonical text, read by another way than the crate's: recursive, and every string unescaped.

/// Two texts are the same value (members in order, numbers as spelled) if this is the same of both.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    let mut out = String::new();
    reader.value(&mut out)?;
    reader.space();
    (reader.at == reader.chars.len()).then_some(out)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn space(&mut self) {
        while self.chars.get(self.at).is_some_and(|sign| matches!(sign, ' ' | '\n' | '\r' | '\t')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<char> {
        self.at += 1;
        self.chars.get(self.at - 1).copied()
    }

    fn value(&mut self, out: &mut String) -> Option<()> {
        self.space();
        match *self.chars.get(self.at)? {
            '"' => self.string(out),
            open @ ('{' | '[') => self.inner(open, out),
            _ => {
                let from = self.at;
                while self.chars.get(self.at).is_some_and(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(*sign))
                {
                    self.at += 1;
                }
                out.extend(self.chars.get(from..self.at)?);
                (self.at > from).then_some(())
            }
        }
    }

    fn inner(&mut self, open: char, out: &mut String) -> Option<()> {
        let close = if open == '{' { '}' } else { ']' };
        self.at += 1;
        out.push(open);
        self.space();
        if self.chars.get(self.at) == Some(&close) {
            self.at += 1;
            out.push(close);
            return Some(());
        }
        loop {
            if open == '{' {
                self.space();
                self.string(out)?;
                self.space();
                (self.next()? == ':').then(|| out.push(':'))?;
            }
            self.value(out)?;
            self.space();
            let sign = self.next()?;
            out.push(sign);
            if sign == close {
                return Some(());
            }
            (sign == ',').then_some(())?;
        }
    }

    /// As the numbers of its UTF-16 units, so that halves of pairs count, too.
    fn string(&mut self, out: &mut String) -> Option<()> {
        (self.next()? == '"').then_some(())?;
        out.push('"');
        loop {
            let sign = self.next()?;
            let unit = match sign {
                '"' => break,
                '\\' => match self.next()? {
                    'n' => 10,
                    't' => 9,
                    'r' => 13,
                    'b' => 8,
                    'f' => 12,
                    'u' => {
                        let mut code = 0;
                        for _ in 0..4 {
                            code = code * 16 + self.next()?.to_digit(16)?;
                        }
                        code
                    }
                    other => u32::from(other),
                },
                other => {
                    let mut units = [0; 2];
                    for unit in other.encode_utf16(&mut units) {
                        out.push_str(&format!("{unit:x}."));
                    }
                    continue;
                }
            };
            out.push_str(&format!("{unit:x}."));
        }
        out.push('"');
        Some(())
    }
}
