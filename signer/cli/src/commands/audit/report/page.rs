//! The page: every section in order. No script, nothing from elsewhere.

use stele_core::audit::Severity;
use stele_core::types::Time;

use super::super::verify::{Chain, Verified};
use super::chart::Chart;
use super::gather::{DecisionRow, Event, Gathered, MOST_ROWS, RefusalRow, Rows};
use super::html::Html;
use super::period::Period;

/// Writes the page.
pub(super) fn write(chain: &Chain, gathered: &Gathered, period: &Period, now: Time) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Audit report: ");
    let origin = chain.logs.first().map_or("", |log| log.report.origin.as_str());
    html.text(origin)
        .raw("</title><style>")
        .raw(include_str!("page.css"))
        .raw("</style></head><body><main>");
    html.raw("<header><h1>Audit report</h1><p class=\"origin\">")
        .text(origin)
        .raw("</p><p>");
    html.n(period.from)
        .raw(" to ")
        .n(period.until)
        .raw("<br>written ")
        .n(now)
        .raw(" by stele ");
    html.raw(env!("CARGO_PKG_VERSION")).raw("</p></header>");
    verdict(&mut html, chain);
    figures(&mut html, gathered);
    issuance(&mut html, gathered, period);
    if !gathered.cas.is_empty() {
        html.raw("<section><h2>Hierarchy</h2><p>Every CA that the log knows, as of its last record.</p>");
        gathered.cas.draw(&mut html, gathered, now);
        html.raw("</section>");
    }
    approvals(&mut html, gathered);
    refusals(&mut html, gathered);
    events(&mut html, &gathered.events);
    html.raw("<section><h2>Verification</h2>");
    chain.logs.iter().for_each(|log| verification(&mut html, log));
    html.raw("</section></main></body></html>\n");
    html.finish()
}

fn verdict(html: &mut Html, chain: &Chain) {
    let errors: usize = chain.logs.iter().map(error_count).sum::<usize>() + chain.findings.len();
    if chain.is_clean() {
        html.raw("<p class=\"verdict good\"><strong>Verified.</strong> No promise is broken, as far as the log can tell.</p>");
    } else {
        html.raw("<p class=\"verdict bad\"><strong>")
            .n(errors)
            .raw(" findings.</strong> A promise is broken: see ");
        html.raw("<a href=\"#findings\">the verification</a>. Do not rely on the rest of this page before it is explained.</p>");
    }
}

fn error_count(log: &Verified) -> usize {
    let grave = log.report.findings.iter().filter(|f| f.severity == Severity::Error);
    grave.count() + log.files.len()
}

fn figures(html: &mut Html, gathered: &Gathered) {
    let decisions = gathered.decisions.len();
    let events = gathered.events.len();
    let grave = gathered.events.rows.iter().filter(|e| e.grave).count() as u64;
    html.raw("<ul class=\"figures\">");
    for (number, what) in [
        (gathered.certificates, "certificates"),
        (gathered.ca_certificates, "of them for CAs"),
        (decisions, "decisions by operators"),
        (gathered.refused, "refusals"),
        (gathered.revoked, "revocations"),
        (gathered.crls, "CRLs"),
        (events, "events worth a look"),
        (grave, "of them grave"),
        (gathered.records, "records"),
    ] {
        html.raw("<li><b>").n(number).raw("</b> ").raw(what).raw("</li>");
    }
    html.raw("</ul>");
}

fn issuance(html: &mut Html, gathered: &Gathered, period: &Period) {
    html.raw("<section><h2>Issuance</h2>");
    let by_profile = Chart::of(&gathered.by_profile, period);
    if by_profile.is_empty() {
        html.raw("<p class=\"none\">No certificate in the period.</p></section>");
        return;
    }
    html.raw("<h3>By profile</h3>");
    by_profile.draw(html, period, "profile");
    html.raw("<h3>By caller</h3>");
    Chart::of(&gathered.by_caller, period).draw(html, period, "caller");
    html.raw("</section>");
}

fn approvals(html: &mut Html, gathered: &Gathered) {
    html.raw("<section><h2>Approvals</h2>");
    if gathered.operators.is_empty() {
        html.raw("<p class=\"none\">No operator decided anything in the period.</p></section>");
        return;
    }
    html.raw("<table><thead><tr><th>operator</th><th class=\"num\">approved</th><th class=\"num\">denied</th></tr></thead><tbody>");
    for (operator, (yes, no)) in &gathered.operators {
        html.raw("<tr><td>")
            .text(operator)
            .raw("</td><td class=\"num\">")
            .n(*yes);
        html.raw("</td><td class=\"num\">").n(*no).raw("</td></tr>");
    }
    html.raw("</tbody></table><details open><summary>Each decision</summary>");
    html.raw("<table><thead><tr><th class=\"num\">record</th><th>time</th><th>operator</th><th>word</th><th>request</th></tr></thead><tbody>");
    for DecisionRow {
        index,
        time,
        operator,
        approve,
        about,
    } in &gathered.decisions.rows
    {
        place(html, *index, *time);
        html.text(operator)
            .raw("</td><td class=\"time\">")
            .raw(if *approve { "approves" } else { "denies" });
        html.raw("</td><td>").text(about).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    left_out(html, &gathered.decisions);
    html.raw("</details></section>");
}

/// The first two cells of a row, and the beginning of the third.
fn place(html: &mut Html, index: u64, time: Time) {
    html.raw("<tr><td class=\"num\">")
        .n(index)
        .raw("</td><td class=\"time\">")
        .n(time)
        .raw("</td><td>");
}

fn left_out<T>(html: &mut Html, rows: &Rows<T>) {
    if rows.left_out > 0 {
        html.raw("<p class=\"none\">The first ")
            .n(MOST_ROWS)
            .raw("; ")
            .n(rows.left_out);
        html.raw(" more are in the log: <code>stele audit find</code> lists them.</p>");
    }
}

fn refusals(html: &mut Html, gathered: &Gathered) {
    html.raw("<section><h2>Refusals</h2>");
    if gathered.refused == 0 {
        html.raw("<p class=\"none\">Nothing was refused in the period.</p></section>");
        return;
    }
    html.raw("<div class=\"columns\"><table><thead><tr><th>caller</th><th>profile</th><th class=\"num\">refusals</th></tr></thead><tbody>");
    let mut rows: Vec<_> = gathered.refused_by.iter().collect();
    rows.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    for ((caller, profile), count) in rows.into_iter().take(MOST_ROWS) {
        html.raw("<tr><td>")
            .text(caller)
            .raw("</td><td>")
            .text(profile)
            .raw("</td><td class=\"num\">")
            .n(*count);
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table><table><thead><tr><th>rule</th><th class=\"num\">violations</th></tr></thead><tbody>");
    let mut rules: Vec<_> = gathered.refused_rules.iter().collect();
    rules.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    for (rule, count) in rules {
        html.raw("<tr><td><code>")
            .text(rule)
            .raw("</code></td><td class=\"num\">")
            .n(*count)
            .raw("</td></tr>");
    }
    html.raw("</tbody></table></div><details><summary>Each refusal</summary>");
    html.raw("<table><thead><tr><th class=\"num\">record</th><th>time</th><th>caller</th><th>profile</th><th>why</th></tr></thead><tbody>");
    for RefusalRow {
        index,
        time,
        caller,
        profile,
        why,
    } in &gathered.refusals.rows
    {
        place(html, *index, *time);
        html.text(caller).raw("</td><td>").text(profile).raw("</td><td>");
        for line in why.lines() {
            html.raw("<div>").text(line).raw("</div>");
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    left_out(html, &gathered.refusals);
    html.raw("</details></section>");
}

fn events(html: &mut Html, events: &Rows<Event>) {
    html.raw("<section><h2>Worth a look</h2><p>What is out of the ordinary, or changes what may be signed. Grave: somebody should know why.</p>");
    if events.rows.is_empty() {
        html.raw("<p class=\"none\">Nothing in the period.</p></section>");
        return;
    }
    html.raw(
        "<table><thead><tr><th class=\"num\">record</th><th>time</th><th>what</th><th>more</th></tr></thead><tbody>",
    );
    for Event {
        index,
        time,
        kind,
        text,
        grave,
    } in &events.rows
    {
        place(html, *index, *time);
        html.raw(if *grave {
            "<span class=\"tag grave\">grave</span> "
        } else {
            ""
        })
        .raw(kind);
        html.raw("</td><td>").text(text).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    left_out(html, events);
    html.raw("</section>");
}

fn verification(html: &mut Html, log: &Verified) {
    let report = &log.report;
    html.raw("<article><h3>")
        .text(&report.origin)
        .raw("</h3><dl><dt>read from</dt><dd>")
        .text(log.place.to_string());
    html.raw("</dd><dt>entries</dt><dd>")
        .n(report.size)
        .raw("</dd><dt>root</dt><dd><code>")
        .n(report.root);
    html.raw("</code></dd><dt>verifier key</dt><dd><code>")
        .text(log.verifier.to_string())
        .raw("</code></dd>");
    if let Some(first) = report.first_bundle {
        html.raw("<dt>first bundle</dt><dd><code>").n(first).raw("</code></dd>");
    }
    html.raw("</dl>");
    findings(html, log);
    html.raw("<details><summary>What was checked</summary><table class=\"checks\"><tbody>");
    for (check, count) in &report.checks {
        html.raw("<tr><td class=\"num\">")
            .n(*count)
            .raw("</td><td>")
            .raw(check)
            .raw("</td></tr>");
    }
    html.raw("<tr><td class=\"num\">")
        .n(log.file_count)
        .raw("</td><td>files</td></tr></tbody></table></details>");
    html.raw("<details open><summary>What no log can tell</summary><ul>");
    for what in &report.not_checked {
        html.raw("<li>").text(what).raw("</li>");
    }
    html.raw("</ul></details></article>");
}

fn findings(html: &mut Html, log: &Verified) {
    let report = &log.report;
    if report.findings.is_empty() && log.files.is_empty() {
        html.raw("<p>No finding.</p>");
        return;
    }
    html.raw("<table id=\"findings\"><thead><tr><th>where</th><th>what</th><th>found</th><th>expected</th></tr></thead><tbody>");
    for file in log.files.iter().take(MOST_ROWS) {
        html.raw("<tr><td>")
            .text(&file.path)
            .raw("</td><td><span class=\"tag grave\">error</span></td><td>");
        html.text(&file.found)
            .raw("</td><td>")
            .text(&file.expected)
            .raw("</td></tr>");
    }
    for finding in report.findings.iter().take(MOST_ROWS) {
        html.raw("<tr><td>");
        match finding.index {
            Some(index) => html.raw("record ").n(index),
            None => html.raw("the log"),
        };
        html.raw("</td><td>");
        html.raw(match finding.severity {
            Severity::Error => "<span class=\"tag grave\">error</span> ",
            Severity::Note => "<span class=\"tag\">note</span> ",
        });
        html.text(&finding.what)
            .raw("</td><td>")
            .text(&finding.found)
            .raw("</td><td>")
            .text(&finding.expected)
            .raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    let more = report.findings.len().saturating_sub(MOST_ROWS) as u64 + report.findings_left_out;
    if more > 0 {
        html.raw("<p class=\"none\">and ")
            .n(more)
            .raw(" more: <code>stele audit verify</code> lists them.</p>");
    }
}
