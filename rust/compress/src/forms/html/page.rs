//! A page, read tag by tag.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use super::{
    menu::Menu,
    names::{BLOCKS, HIDDEN, field, level},
    tags::{Tag, Token, Tokens},
    text::{Buffer, decoded},
};
use crate::{
    forms::prose::{POINT, sections::Sections, sentences},
    outline::Outline,
};

/// Points are not put further in than this.
const DEPTH: usize = 4;

pub(super) fn outline(block: &str) -> Outline<'_> {
    let mut page = Page {
        block,
        sections: Sections::new(),
        buffer: Buffer::default(),
        menu: Menu::default(),
        link: None,
        row: None,
        table: None,
        term: None,
        lists: 0,
        quotes: 0,
        edges: 0,
        kept: 0,
        point: false,
        heading: None,
    };
    let mut tokens = Tokens::new(block);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text { range, raw } => page.buffer.push(block, range, raw, page.kept > 0),
            Token::Open(tag) => {
                let name = tag.name.to_ascii_lowercase();
                if !tag.closed && HIDDEN.contains(&name.as_str()) {
                    tokens.pass(&name);
                } else {
                    page.open(&name, &tag);
                }
            }
            Token::Close { name, range } => page.close(&name.to_ascii_lowercase(), range),
        }
    }
    page.flush();
    page.end_menu();
    page.sections.finish()
}

struct Page<'a> {
    block: &'a str,
    sections: Sections<'a>,
    buffer: Buffer,
    menu: Menu,
    /// Where the open link leads, and where its words begin in the buffer.
    link: Option<(&'a str, usize)>,
    /// The cells of the open row, whether all of them are heads, and where it begins.
    row: Option<Row>,
    /// The group of the table that we are in.
    table: Option<usize>,
    /// A term whose meaning follows.
    term: Option<String>,
    lists: usize,
    quotes: usize,
    edges: usize,
    kept: usize,
    /// A point has begun and has no text yet.
    point: bool,
    heading: Option<u8>,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    heads: usize,
    source: Range<usize>,
}

impl<'a> Page<'a> {
    fn open(&mut self, name: &str, tag: &Tag<'a>) {
        if BLOCKS.contains(&name) {
            self.edge(name);
        }
        match name {
            "a" => self.link = Some((tag.attribute("href").unwrap_or_default(), self.buffer.text().len())),
            "img" => self.put(tag.attribute("alt").map(|alt| format!("[image: {}]", decoded(alt))), tag),
            "input" => self.put(field(tag), tag),
            "meta" if tag.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case("description")) => {
                self.put(tag.attribute("content").map(|text| decoded(text).into_owned()), tag);
                self.flush();
            }
            "ul" | "ol" | "menu" => self.lists += 1,
            "li" => self.point = true,
            "blockquote" => self.quotes += 1,
            "nav" | "header" | "footer" | "aside" => self.edges += 1,
            "pre" | "textarea" => self.kept += 1,
            "tr" => self.row = Some(Row { source: tag.range.clone(), ..Row::default() }),
            "td" | "th" => {
                if let Some(row) = &mut self.row {
                    row.heads += usize::from(name == "th");
                }
            }
            "table" => self.table = None,
            "title" => self.heading = Some(0),
            _ => {}
        }
        if let Some(level) = level(name) {
            self.heading = Some(level);
        }
    }

    fn close(&mut self, name: &str, range: Range<usize>) {
        match name {
            "a" => self.end_link(range.clone()),
            "td" | "th" => self.cell(range.end),
            "tr" => self.end_row(),
            _ => {}
        }
        if BLOCKS.contains(&name) {
            self.edge(name);
        }
        let less = |count: &mut usize| *count = count.saturating_sub(1);
        match name {
            "ul" | "ol" | "menu" => less(&mut self.lists),
            "li" => self.point = false,
            "blockquote" => less(&mut self.quotes),
            "nav" | "header" | "footer" | "aside" => {
                self.end_menu();
                less(&mut self.edges);
            }
            "pre" | "textarea" => less(&mut self.kept),
            "table" => {
                self.end_row();
                self.table = None;
            }
            "title" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading = None,
            _ => {}
        }
    }

    /// A block begins or ends. Within a row only cells count.
    fn edge(&mut self, name: &str) {
        if self.row.is_some() {
            match name {
                "td" | "th" => self.cell(0),
                "tr" | "table" => self.end_row(),
                _ => {
                    if !self.buffer.is_empty() && !self.buffer.text().ends_with(' ') {
                        self.buffer.space();
                    }
                }
            }
        } else if name == "dt" || name == "dd" {
            self.define(name);
        } else {
            self.flush();
        }
    }

    /// A term waits for its meaning.
    fn define(&mut self, name: &str) {
        if name == "dd" && self.term.is_none() && !self.buffer.is_empty() {
            self.term = Some(self.buffer.text().trim().to_owned());
            self.buffer.clear();
        } else {
            self.flush();
        }
    }

    fn put(&mut self, text: Option<String>, tag: &Tag<'_>) {
        if let Some(text) = text.filter(|text| !text.is_empty() && text != "[image: ]") {
            self.buffer.put(&text, tag.range.clone());
        }
    }

    fn end_link(&mut self, range: Range<usize>) {
        let Some((href, from)) = self.link.take() else { return };
        let words = self.buffer.text().get(from..).unwrap_or_default();
        let length = words.trim().len();
        if length == 0 {
            return;
        }
        let leads = !href.is_empty() && !href.starts_with('#') && !href.starts_with("javascript:");
        let shows = leads && href != words.trim() && self.kept == 0;
        self.buffer.linked += length;
        if shows {
            let shown = format!(" ({})", decoded(href));
            self.buffer.linked += shown.len();
            self.buffer.put(&shown, range);
        }
    }

    /// What was collected is a block.
    fn flush(&mut self) {
        if self.buffer.is_empty() {
            self.buffer.clear();
            return;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let text = buffer.text().trim();
        let range =
            buffer.source(buffer.text().len() - buffer.text().trim_start().len()..buffer.text().trim_end().len());
        if let Some(level) = self.heading {
            self.end_menu();
            let signs = "#".repeat(usize::from(level.max(1)));
            self.sections.heading(level, Cow::Owned(format!("{signs} {text}")), range);
        } else if self.kept > 0 {
            self.end_menu();
            self.lines(&buffer);
        } else if buffer.linked + 4 > text.len() && self.term.is_none() {
            let shown = format!("{}{text}", self.sign());
            self.menu.push(shown, range);
        } else {
            self.end_menu();
            self.block(&buffer);
        }
        self.point = false;
    }

    /// What stands before the first sentence of a block.
    fn sign(&self) -> String {
        let quote = if self.quotes > 0 { "> " } else { "" };
        let point = if self.point || self.lists > 0 {
            format!("{}- ", "  ".repeat(self.lists.saturating_sub(1).min(DEPTH)))
        } else {
            String::new()
        };
        format!("{quote}{point}")
    }

    fn block(&mut self, buffer: &Buffer) {
        let mut sign = self.sign();
        if let Some(term) = self.term.take() {
            let _ = write!(sign, "{term}: ");
        }
        let group = self.sections.last();
        let text = buffer.text();
        let is_point = !sign.is_empty() && text.len() <= POINT;
        let is_quote = sign.starts_with("> ");
        self.sections.paragraph();
        let mut one = |part: Range<usize>| {
            let source = buffer.source(part.clone());
            let shown = text.get(part).unwrap_or_default();
            let unit = match self.block.get(source.clone()) {
                Some(same) if sign.is_empty() && same == shown => Cow::Borrowed(same),
                _ => Cow::Owned(format!("{sign}{shown}")),
            };
            if is_quote {
                self.sections.unit(group, unit, source);
            } else {
                self.sections.sentence(group, unit, source);
            }
            sign.truncate(if is_quote { 2 } else { 0 });
        };
        if is_point {
            one(text.len() - text.trim_start().len()..text.trim_end().len());
        } else {
            sentences::split(text, one);
        }
    }

    /// Code as it stands, line by line.
    fn lines(&mut self, buffer: &Buffer) {
        let group = self.sections.last();
        let mut at = 0;
        for line in buffer.text().split('\n') {
            let part = at..at + line.len();
            at = part.end + 1;
            if !line.trim().is_empty() {
                self.sections.unit(group, Cow::Owned(line.trim_end().to_owned()), buffer.source(part));
            }
        }
    }

    /// Links that follow each other; at the edges of the page only their words.
    fn end_menu(&mut self) {
        let group = self.sections.last();
        let sections = &mut self.sections;
        self.menu.end(self.edges > 0, |text, source| sections.unit(group, Cow::Owned(text), source));
    }

    fn cell(&mut self, end: usize) {
        let text = self.buffer.text().trim();
        let Some(row) = &mut self.row else { return };
        // A cell that is empty keeps its place where it is closed.
        if !text.is_empty() || end > 0 {
            row.cells.push(text.to_owned());
            row.source.end = end.max(self.buffer.source(0..self.buffer.text().len()).end).max(row.source.end);
            self.buffer.clear();
        }
    }

    fn end_row(&mut self) {
        self.cell(0);
        let Some(row) = self.row.take() else { return };
        self.end_menu();
        let line = row.cells.join(" | ");
        if line.trim_matches([' ', '|']).is_empty() {
            return;
        }
        if row.heads >= row.cells.len() && self.table.is_none() {
            self.table = Some(self.sections.group(Cow::Owned(line)));
            return;
        }
        let group = self.table.unwrap_or_else(|| self.sections.last());
        self.sections.unit(group, Cow::Owned(line), row.source);
    }
}
