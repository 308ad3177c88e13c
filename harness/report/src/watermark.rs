//! The watermark figure: each replica's log before and after a change of leader, on one scale.
//!
//! It shows the stretch where the logs differ or the marks stand; what lies left or right of it is
//! cut off with a torn edge and the number written beside it. Nothing is placed that was not read.

use std::collections::BTreeSet;

use checkers::judgement::{EpochSegment, Failover, OffsetRange, ReplicaPicture, Role};
use maud::{Markup, html};

use crate::svg::{Scale, bold_width_of, c, width_of};
use crate::text;

/// Width of the drawing; the plot leaves room for names at the left and log ends at the right.
const WIDTH: f64 = 1060.0;
const LEFT: f64 = 172.0;
const RIGHT: f64 = 900.0;
/// Height of a replica's row and of its bar.
const ROW: f64 = 46.0;
const BAR: f64 = 20.0;

/// The figure of one change of leader.
pub fn figure(f: &Failover) -> Markup {
    let scale = Scale::new_offsets(window(f));
    let before_top = 30.0;
    let pointer_top = before_top + f.before.len() as f64 * ROW;
    let captions = wrapped(&f.lost_caption, 130);
    let pointed = f.lost.is_some_and(|lost| !lost.is_empty());
    let after_title = pointer_top
        + if pointed {
            48.0 + captions.len() as f64 * 16.0
        } else {
            18.0
        };
    let after_top = after_title + 14.0;
    let bottom = after_top + f.after.len() as f64 * ROW;
    html! {
        svg viewBox={ "0 0 " (c(WIDTH)) " " (c(bottom + 44.0)) } role="img"
            aria-label={ "Logs of " (f.partition) " on each replica, before and after epoch " (f.to_epoch) } {
            text.strong x="0" y="14" { (text::visible(&f.before_caption)) }
            @if let Some(lost) = f.lost.filter(|_| pointed) {
                (pointer(lost, &captions, scale, before_top, pointer_top))
            }
            @for (i, picture) in f.before.iter().enumerate() { (replica(picture, scale, before_top + i as f64 * ROW)) }
            line.grid x1="0" x2=(c(WIDTH)) y1=(c(after_title - 20.0)) y2=(c(after_title - 20.0)) {}
            text.strong x="0" y=(c(after_title)) { (text::visible(&f.after_caption)) }
            @for (i, picture) in f.after.iter().enumerate() { (replica(picture, scale, after_top + i as f64 * ROW)) }
            (axis(scale, bottom))
            (legend(f, scale, bottom + 32.0))
        }
    }
}

/// The offsets worth drawing: every cut, every loss, and where the new epochs begin; marks and log
/// ends as well, unless they lie so far away that the cut would be a hair. Those get an arrow.
fn window(f: &Failover) -> OffsetRange {
    const FAR: i64 = 12;
    let ranges = f.before.iter().filter_map(|p| p.cut).chain(f.lost);
    let mut core: BTreeSet<i64> = ranges.flat_map(|range| [range.from, range.to]).collect();
    let after = f.after.iter().flat_map(|p| &p.segments);
    core.extend(after.filter(|s| s.epoch >= f.to_epoch).map(|s| s.from));
    let marks: BTreeSet<i64> = f.before.iter().flat_map(ends).collect();
    if core.is_empty() {
        core.clone_from(&marks);
    }
    let first = core.first().copied().unwrap_or(0);
    let last = core.last().copied().unwrap_or(0);
    let reach = last.saturating_sub(first).max(4).saturating_mul(FAR);
    let near = marks.range(first.saturating_sub(reach)..=last.saturating_add(reach));
    core.extend(near);
    let first = core.first().copied().unwrap_or(0);
    let last = core.last().copied().unwrap_or(0);
    let margin = (last.saturating_sub(first) / 20).max(2);
    OffsetRange {
        from: first.saturating_sub(margin).max(0),
        to: last.saturating_add(margin),
    }
}

/// What was read of a replica that a figure should show if it can.
fn ends(p: &ReplicaPicture) -> Vec<i64> {
    let read = [&p.hw, &p.leo].into_iter().flatten().map(|s| s.offset);
    read.chain(p.segments.last().map(|s| s.to)).collect()
}

/// What a replica is, in words: `leader e1, ISR n1 n2`.
pub fn role(p: &ReplicaPicture) -> String {
    let word = match p.role {
        Role::Leader => "leader",
        Role::DeposedLeader => "deposed leader",
        Role::Follower => "follower",
        Role::Down => "down",
        Role::Unknown => "no evidence",
    };
    let epoch = p.epoch.map_or(String::new(), |epoch| format!(" {epoch}"));
    let isr: String = p.isr.iter().map(|node| format!(" {node}")).collect();
    if isr.is_empty() {
        format!("{word}{epoch}")
    } else {
        format!("{word}{epoch}, ISR{isr}")
    }
}

fn replica(p: &ReplicaPicture, scale: Scale, y: f64) -> Markup {
    let colour = text::colour(p.node);
    let bar = y + 12.0;
    let star = match p.role {
        Role::Leader => " ★",
        Role::DeposedLeader => " ☆",
        Role::Follower | Role::Down | Role::Unknown => "",
    };
    html! {
        text class={ "strong f" (colour) } x="0" y=(c(bar + 10.0)) { (p.node) (star) }
        text.tiny.m x="0" y=(c(bar + 24.0)) { (role(p)) }
        @if p.segments.is_empty() {
            text.tiny.m x=(c(LEFT + 6.0)) y=(c(bar + 14.0)) {
                @match p.role { Role::Down => "its process was gone", _ => "what it held is not known" }
            }
        }
        @for segment in &p.segments { (stretch(segment.from, segment.to, segment.epoch.0, scale, bar)) }
        @if let Some(cut) = p.cut.filter(|cut| !cut.is_empty()) {
            @let from = scale.at(cut.from as f64);
            @let width = (scale.at(cut.to as f64) - from).max(3.0);
            rect fill="url(#cut)" x=(c(from)) y=(c(bar)) width=(c(width)) height=(c(BAR)) {
                title { "about to be cut: " (text::offsets(cut)) }
            }
        }
        @if let Some(last) = p.segments.last() { (torn(p.segments[0].from, last.to, scale, bar)) }
        (marks(p, scale, bar))
    }
}

/// One epoch's part of a log, named where there is room.
fn stretch(from: i64, to: i64, epoch: i32, scale: Scale, bar: f64) -> Markup {
    let (left, right) = (scale.at(from as f64), scale.at(to as f64));
    let name = format!("e{epoch}");
    html! {
        @if right > left {
            rect class={ "e" (epoch.rem_euclid(6)) } x=(c(left)) y=(c(bar)) width=(c(right - left)) height=(c(BAR)) {
                title { "epoch " (epoch) ", " (text::offsets(OffsetRange { from, to })) }
            }
            @if right - left > width_of(&name) + 6.0 {
                text.tiny.eink x=(c(left + if left > LEFT { 5.0 } else { 10.0 })) y=(c(bar + 14.0)) { (name) }
            }
        }
    }
}

/// Torn edges where a log goes on outside the drawing.
fn torn(from: i64, to: i64, scale: Scale, bar: f64) -> Markup {
    let edge = |x: f64, sign: f64| {
        let (a, b) = (c(x), c(x + 5.0 * sign));
        let ys: Vec<String> = (0..=4).map(|i| c(bar + f64::from(i) * BAR / 4.0)).collect();
        format!(
            "M{a} {}L{b} {}L{a} {}L{b} {}L{a} {}",
            ys[0], ys[1], ys[2], ys[3], ys[4]
        )
    };
    html! {
        @if (from as f64) < scale.first() && to as f64 > scale.first() { path.torn d=(edge(LEFT, 1.0)) {} }
        @if to as f64 > scale.last() { path.torn d=(edge(RIGHT, -1.0)) {} }
    }
}

/// The high watermark as a line through the bar, the log end as a number behind it.
fn marks(p: &ReplicaPicture, scale: Scale, bar: f64) -> Markup {
    let colour = text::colour(p.node);
    let same = match (&p.hw, &p.leo) {
        (Some(hw), Some(leo)) => hw.offset == leo.offset,
        _ => false,
    };
    html! {
        @if let Some(hw) = &p.hw {
            @let x = scale.at(hw.offset as f64);
            @if scale.holds(hw.offset as f64) {
                line class={ "hw s" (colour) } x1=(c(x)) x2=(c(x)) y1=(c(bar - 5.0)) y2=(c(bar + BAR + 5.0)) {}
            }
            @if !same { (hw_label(hw.offset, x, scale, bar)) }
        }
        @if let Some(leo) = &p.leo {
            @let x = scale.at(leo.offset as f64);
            @let onwards = outside(leo.offset, scale);
            text.mono x=(c(x + 9.0)) y=(c(bar + 14.0)) {
                (onwards) @if same { "LEO = HW @" (leo.offset) } @else { "LEO @" (leo.offset) }
            }
        } @else if !p.segments.is_empty() {
            text.tiny.m x=(c(RIGHT + 9.0)) y=(c(bar + 14.0)) { "LEO not known" }
        }
    }
}

/// An arrow towards an offset that lies outside the drawing.
fn outside(offset: i64, scale: Scale) -> &'static str {
    if (offset as f64) < scale.first() {
        "← "
    } else if offset as f64 > scale.last() {
        "→ "
    } else {
        ""
    }
}

/// Above the bar, on the side of the line where it does not leave the drawing.
fn hw_label(offset: i64, x: f64, scale: Scale, bar: f64) -> Markup {
    let left = x > (LEFT + RIGHT) / 2.0;
    let (at, anchor) = if left {
        (x - 4.0, "end")
    } else {
        (x + 4.0, "start")
    };
    html! {
        text.mono x=(c(at)) y=(c(bar - 2.0)) text-anchor=(anchor) { (outside(offset, scale)) "HW @" (offset) }
    }
}

/// The bracket under the lost offsets, with what to say about them.
fn pointer(lost: OffsetRange, captions: &[String], scale: Scale, top: f64, y: f64) -> Markup {
    let (left, right) = (scale.at(lost.from as f64), scale.at(lost.to as f64));
    let right = right.max(left + 3.0);
    let longest = captions
        .iter()
        .map(|line| bold_width_of(line))
        .fold(0.0, f64::max);
    let x = ((left + right) / 2.0 - longest / 2.0).clamp(0.0, (WIDTH - longest).max(0.0));
    html! {
        path.lost d={ "M" (c(left)) " " (c(top + 8.0)) "V" (c(y + 6.0)) "H" (c(right)) "V" (c(y)) } stroke-dasharray="4 3" {}
        path.lost d={ "M" (c((left + right) / 2.0)) " " (c(y + 6.0)) "v7" } {}
        @for (i, line) in captions.iter().enumerate() {
            text.lostink x=(c(x)) y=(c(y + 28.0 + i as f64 * 16.0)) { (line) }
        }
    }
}

fn axis(scale: Scale, y: f64) -> Markup {
    html! {
        line.grid x1=(c(LEFT)) x2=(c(RIGHT)) y1=(c(y + 2.0)) y2=(c(y + 2.0)) {}
        text.mono.m x=(c(LEFT)) y=(c(y + 16.0)) { "@" (scale.first() as i64) }
        text.mono.m x=(c(RIGHT)) y=(c(y + 16.0)) text-anchor="end" { "@" (scale.last() as i64) }
    }
}

fn legend(f: &Failover, scale: Scale, y: f64) -> Markup {
    let segments = f.before.iter().chain(&f.after).flat_map(|p| &p.segments);
    let seen = |s: &&EpochSegment| (s.from as f64) < scale.last() && s.to as f64 > scale.first();
    let in_view: BTreeSet<i32> = segments.filter(seen).map(|s| s.epoch.0).collect();
    // A log of many epochs would fill the line; the newest ones are those that differ.
    let epochs: Vec<i32> = in_view.into_iter().rev().take(5).collect();
    let start = LEFT + epochs.len() as f64 * 76.0;
    html! {
        g {
            @for (i, epoch) in epochs.iter().rev().enumerate() {
                @let x = LEFT + i as f64 * 76.0;
                rect class={ "e" (epoch.rem_euclid(6)) } x=(c(x)) y=(c(y - 9.0)) width="14" height="10" {}
                text.tiny.m x=(c(x + 19.0)) y=(c(y)) { "epoch " (epoch) }
            }
            rect fill="url(#cut)" x=(c(start)) y=(c(y - 9.0)) width="14" height="10" {}
            text.tiny.m x=(c(start + 19.0)) y=(c(y)) { "about to be cut" }
            line.hw.plain x1=(c(start + 122.0)) x2=(c(start + 122.0)) y1=(c(y - 12.0)) y2=(c(y + 3.0)) {}
            text.tiny.m x=(c(start + 130.0)) y=(c(y)) { "high watermark" }
        }
    }
}

/// Breaks a caption into lines at spaces.
fn wrapped(caption: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text::visible(caption).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

impl Scale {
    fn new_offsets(window: OffsetRange) -> Self {
        Self::new(window.from as f64, window.to as f64, LEFT, RIGHT)
    }
}
