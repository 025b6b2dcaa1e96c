//! The order and kinds of messages, against what PostgreSQL 15 sends.

use super::Fixture;
use super::raw::{Raw, Reply, message, row, sqlstate, tags, text};

fn tag_of(replies: &[Reply]) -> String {
    let complete = replies.iter().rev().find(|reply| reply.tag == 'C').expect("a completed command");
    String::from_utf8_lossy(&complete.body).trim_end_matches('\0').to_owned()
}

fn status(replies: &[Reply]) -> u8 {
    replies.last().expect("ready").body[0]
}

#[tokio::test]
async fn simple_queries_answer_in_postgres_order() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    for (sql, expected) in [
        ("select 1", "TDCZ"),
        ("", "IZ"),
        (" ; -- nothing\n;", "IZ"),
        ("select 1; select 2", "TDCTDCZ"),
        ("select 1; select nothing; select 3", "TDCEZ"),
        ("select 1; selec 2", "EZ"),
        ("select ';' as a; select 2;", "TDCTDCZ"),
    ] {
        assert_eq!(tags(&raw.query(sql).await), expected, "{sql}");
    }
}

#[tokio::test]
async fn error_positions_count_from_the_start_of_the_whole_text() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    let replies = raw.query("select 1; select nothing").await;
    let error = replies.iter().find(|reply| reply.tag == 'E').expect("error");
    // `nothing` starts at the 18th character.
    assert_eq!(error.field(b'P').as_deref(), Some("18"));
    assert_eq!(error.field(b'S').as_deref(), Some("ERROR"));
}

#[tokio::test]
async fn a_failed_block_accepts_only_its_end() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    let mut seen = Vec::new();
    for sql in ["begin", "select nothing", "select 1", "commit"] {
        let replies = raw.query(sql).await;
        seen.push((status(&replies), sqlstate(&replies)));
    }
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(seen, [(b'T', None), (b'E', code("42703")), (b'E', code("25P02")), (b'I', None)]);
    raw.query("begin; select nothing").await;
    raw.parse("", "select 1").await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("25P02"));
    assert_eq!(tag_of(&raw.query("rollback").await), "ROLLBACK");
}

#[tokio::test]
async fn several_writing_statements_are_one_transaction() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    // DECLARE needs a block, which the text itself is.
    let replies = raw.query("declare c cursor for select 7 as a; fetch 1 from c").await;
    assert_eq!(tags(&replies), "CTDCZ");
    assert_eq!(status(&replies), b'I');
    assert_eq!(sqlstate(&raw.query("fetch 1 from c").await).as_deref(), Some("34000"));
    // BEGIN inside makes it an ordinary block; COMMIT without one warns.
    assert_eq!(status(&raw.query("set search_path = 'a'; begin; select 1").await), b'T');
    assert_eq!(status(&raw.query("commit").await), b'I');
    let replies = raw.query("set search_path = 'a'; commit; select 1").await;
    let warning = replies.iter().find(|reply| reply.tag == 'N').expect("a warning");
    assert_eq!(warning.field(b'C').as_deref(), Some("25P01"));
}

#[tokio::test]
async fn changed_parameters_are_reported() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    let replies = raw.query("set application_name = 'x'").await;
    assert_eq!(tags(&replies), "SCZ");
    assert_eq!(replies[0].body, b"application_name\0x\0");
}

#[tokio::test]
async fn extended_messages_answer_in_postgres_order() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.parse("s", "select 1").await;
    raw.send(&message('D', b"Ss\0")).await;
    raw.bind("p", "s").await;
    raw.send(&message('D', b"Pp\0")).await;
    raw.execute("p", 0).await;
    raw.send(&message('C', b"Pp\0")).await;
    raw.send(&message('C', b"Ss\0")).await;
    assert_eq!(tags(&raw.sync().await), "1tT2TDC33Z");
    // An empty text, and a statement without rows.
    raw.parse("", "").await;
    raw.send(&message('D', b"S\0")).await;
    raw.bind("", "").await;
    raw.execute("", 0).await;
    assert_eq!(tags(&raw.sync().await), "1tn2IZ");
    raw.parse("", "set search_path = 'b'").await;
    raw.bind("", "").await;
    raw.execute("", 0).await;
    assert_eq!(tags(&raw.sync().await), "12CZ");
}

#[tokio::test]
async fn after_an_error_everything_up_to_sync_is_skipped() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.parse("", "select nothing").await;
    raw.bind("", "").await;
    raw.execute("", 0).await;
    raw.send(&message('Q', &text("select 1"))).await;
    assert_eq!(tags(&raw.sync().await), "EZ");
    assert_eq!(tags(&raw.query("select 1").await), "TDCZ");
}

#[tokio::test]
async fn names_that_exist_or_do_not_have_their_sqlstates() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.parse("s", "select 1").await;
    raw.sync().await;
    raw.parse("s", "select 2").await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("42P05"));
    raw.bind("", "unknown").await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("26000"));
    raw.execute("unknown", 0).await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("34000"));
    raw.parse("", "select 1; select 2").await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("42601"));
}

#[tokio::test]
async fn statements_and_portals_are_bounded() {
    let fixture = Fixture::start_with(|config| {
        config.limits.statements_max = 2;
        config.limits.portals_max = 2;
    })
    .await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    for name in ["a", "b", "c"] {
        raw.parse(name, "select 1").await;
    }
    let replies = raw.sync().await;
    assert_eq!((tags(&replies).as_str(), sqlstate(&replies).as_deref()), ("11EZ", Some("53400")));
    raw.query("begin").await;
    for name in ["a", "b", "c"] {
        raw.bind(name, "a").await;
    }
    assert_eq!(tags(&raw.sync().await), "22EZ");
}

#[tokio::test]
async fn a_row_limit_suspends_the_portal_and_sync_in_a_block_keeps_it() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.query("begin").await;
    raw.parse("", "select * from generate_series(1, 10)").await;
    raw.bind("p", "").await;
    for _ in 0..4 {
        raw.execute("p", 4).await;
    }
    assert_eq!(tags(&raw.sync().await), "12DDDDsDDDDsDDCCZ");
    raw.bind("q", "").await;
    raw.execute("q", 4).await;
    assert_eq!(tags(&raw.sync().await), "2DDDDsZ");
    raw.execute("q", 0).await;
    let replies = raw.sync().await;
    assert_eq!((tags(&replies).as_str(), tag_of(&replies).as_str()), ("DDDDDDCZ", "SELECT 6"));
    raw.query("commit").await;
    raw.execute("q", 0).await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("34000"));
}

#[tokio::test]
async fn cursors_move_as_their_declaration_lets_them() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    assert_eq!(sqlstate(&raw.query("declare c cursor for select 1").await).as_deref(), Some("25P01"));
    raw.query("begin").await;
    raw.query("declare s scroll cursor for select * from generate_series(1, 30)").await;
    let steps = [
        ("fetch 3 from s", "FETCH 3", Some("3")),
        ("fetch prior from s", "FETCH 1", Some("2")),
        ("move forward 10 in s", "MOVE 10", None),
        ("fetch relative 0 from s", "FETCH 1", Some("12")),
        ("fetch last from s", "FETCH 1", Some("30")),
        ("fetch next from s", "FETCH 0", None),
        ("fetch backward 2 from s", "FETCH 2", Some("29")),
        ("fetch absolute 5 from s", "FETCH 1", Some("5")),
        ("fetch absolute -30 from s", "FETCH 1", Some("1")),
        ("fetch first in s", "FETCH 1", Some("1")),
        ("fetch backward all from s", "FETCH 0", None),
        ("move all in s", "MOVE 30", None),
        ("close s", "CLOSE CURSOR", None),
    ];
    for (sql, tag, last) in steps {
        let replies = raw.query(sql).await;
        assert_eq!(sqlstate(&replies), None, "{sql}");
        let rows: Vec<_> = replies.iter().filter(|reply| reply.tag == 'D').map(row).collect();
        assert_eq!(tag_of(&replies), tag, "{sql}");
        assert_eq!(rows.last().and_then(|row| row[0].as_deref()), last, "{sql}");
    }
    raw.query("declare f no scroll cursor for select * from generate_series(1, 3)").await;
    assert_eq!(tag_of(&raw.query("fetch all from f").await), "FETCH 3");
    assert_eq!(sqlstate(&raw.query("fetch prior from f").await).as_deref(), Some("55000"));
    raw.query("rollback").await;
}

#[tokio::test]
async fn a_held_cursor_outlives_its_transaction_unless_that_is_rolled_back() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    for (end, found) in [("commit", None), ("rollback", Some("34000"))] {
        raw.query("begin").await;
        raw.query("declare h cursor with hold for select * from generate_series(1, 3)").await;
        raw.query("fetch 1 from h").await;
        raw.query(end).await;
        assert_eq!(sqlstate(&raw.query("fetch 1 from h").await).as_deref(), found, "{end}");
        raw.query("close all").await;
    }
}

#[tokio::test]
async fn sql_prepare_takes_arguments_of_any_expression() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    assert_eq!(tag_of(&raw.query("prepare p (bigint, text) as select $1 + 1 as a, $2 || '!' as b").await), "PREPARE");
    let replies = raw.query("execute p (2 * 20, 'it''s')").await;
    assert_eq!(row(&replies[1]), [Some("41".to_owned()), Some("it's!".to_owned())]);
    assert_eq!(sqlstate(&raw.query("execute p (1)").await).as_deref(), Some("42601"));
    assert_eq!(tag_of(&raw.query("deallocate p").await), "DEALLOCATE");
    assert_eq!(sqlstate(&raw.query("execute p (1, 'a')").await).as_deref(), Some("26000"));
}

#[tokio::test]
async fn discard_all_forgets_what_the_connection_holds() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.query("prepare p as select 1").await;
    raw.query("declare h cursor with hold for select 1").await;
    assert_eq!(tag_of(&raw.query("discard all").await), "DISCARD ALL");
    assert_eq!(sqlstate(&raw.query("execute p").await).as_deref(), Some("26000"));
    assert_eq!(sqlstate(&raw.query("fetch 1 from h").await).as_deref(), Some("34000"));
    for (sql, tag) in [("unlisten *", "UNLISTEN"), ("listen x", "LISTEN"), ("deallocate all", "DEALLOCATE ALL")] {
        assert_eq!(tag_of(&raw.query(sql).await), tag);
    }
}

#[tokio::test]
async fn copy_out_writes_the_three_formats() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    let query = "select 1 as a, null::text as b, 'x,\"y\"\t\\' as c";
    let data = |replies: &[Reply]| -> Vec<u8> {
        replies.iter().filter(|reply| reply.tag == 'd').flat_map(|reply| reply.body.clone()).collect()
    };
    let replies = raw.query(&format!("copy ({query}) to stdout (format csv, header)")).await;
    assert_eq!(tags(&replies), "HddcCZ");
    assert_eq!(data(&replies), b"a,b,c\n1,,\"x,\"\"y\"\"\t\\\"\n");
    let replies = raw.query(&format!("copy ({query}) to stdout")).await;
    assert_eq!(data(&replies), b"1\t\\N\tx,\"y\"\\t\\\\\n");
    assert_eq!(tag_of(&replies), "COPY 1");
    let replies = raw.query("copy (select 'ab' as a, null::text as b) to stdout with (format binary)").await;
    // Signature, flags, extension; two fields, 2 bytes, null; end mark.
    let expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x02ab\xff\xff\xff\xff\xff\xff";
    assert_eq!(data(&replies), expected);
    assert_eq!(sqlstate(&raw.query("copy (select 1) to '/tmp/x'").await).as_deref(), Some("42501"));
}

#[tokio::test]
async fn copy_in_takes_messages_of_any_size_and_a_refusal() {
    let fixture = Fixture::start_with(|config| config.limits.message_bytes_max = 1_000).await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.send(&message('Q', &text("copy t (a, b) from stdin"))).await;
    assert_eq!(raw.reply().await.map(|reply| reply.tag), Some('G'));
    let line = [vec![b'x'; 5_000], b"\ty\n".to_vec()].concat();
    raw.send(&[message('d', &line), message('d', b"1\t2\n"), message('c', &[])].concat()).await;
    assert_eq!(tag_of(&raw.until('Z').await), "COPY 2");
    raw.send(&message('Q', &text("copy t (a, b) from stdin"))).await;
    raw.send(&[message('d', b"1\t2\n"), message('f', b"no\0")].concat()).await;
    let replies = raw.until('Z').await;
    assert_eq!(sqlstate(&replies).as_deref(), Some("57014"));
}

#[tokio::test]
async fn malformed_and_oversize_messages_end_the_connection() {
    let fixture = Fixture::start_with(|config| config.limits.message_bytes_max = 1_000).await;
    for (bytes, code) in [
        (message('Q', &vec![b' '; 1_001]), "54000"),
        (message('B', b"\0\0\0\x01"), "08P01"),
        (message('B', b"\0\0\0\0\x7f\xff\0\0"), "08P01"),
        (vec![b'Q', 0, 0, 0, 3], "08P01"),
        (vec![b'?', 0, 0, 0, 4], "08P01"),
    ] {
        let mut raw = Raw::session(fixture.server.local_addr()).await;
        raw.send(&bytes).await;
        let replies = raw.until('Z').await;
        assert_eq!(sqlstate(&replies).as_deref(), Some(code));
        assert_eq!(replies[0].field(b'V').as_deref(), Some("FATAL"));
    }
}
