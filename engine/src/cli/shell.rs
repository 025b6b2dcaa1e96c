//! `ratehouse sql`: statements from the command line, a file or a terminal, under session rules.

use std::io::{BufRead, IsTerminal, Read, Write};

use futures::TryStreamExt;
use ratehouse::session::{Answer, Session};
use ratehouse::{Error, SessionError};

use super::args::Format;
use super::output::write_rows;

/// Runs all statements of a text; stops at the first that fails.
pub(crate) async fn run_text(session: &Session, text: &str, format: Format) -> Result<(), Error> {
    for statement in session.parse(text)? {
        let result = run_one(session, &statement, format).await;
        for notice in session.take_notices() {
            eprintln!("{}:  {}", notice.severity, notice.text);
        }
        if let Err(error) = result {
            session.fail_transaction();
            return Err(error);
        }
    }
    Ok(())
}

async fn run_one(session: &Session, statement: &ratehouse::Statement, format: Format) -> Result<(), Error> {
    let prepared = session.prepare(statement, &[]).await?;
    let mut out = std::io::stdout().lock();
    match session.run(&prepared, Vec::new()).await? {
        Answer::Rows { schema, stream } => {
            let batches: Vec<_> = stream.try_collect().await.map_err(SessionError::from)?;
            write_rows(&mut out, &schema, &batches, format).map_err(stdout_failed)?;
        }
        Answer::CopyOut { schema, stream, .. } => {
            let batches: Vec<_> = stream.try_collect().await.map_err(SessionError::from)?;
            write_rows(&mut out, &schema, &batches, Format::Csv).map_err(stdout_failed)?;
        }
        Answer::Done { tag } => {
            if format == Format::Table {
                writeln!(out, "{tag}").map_err(stdout_failed)?;
            }
        }
        Answer::CopyIn(mut copy) => {
            let mut piece = vec![0; 1 << 20];
            let mut input = std::io::stdin().lock();
            loop {
                let read =
                    input.read(&mut piece).map_err(|source| Error::Io { path: "standard input".to_owned(), source })?;
                if read == 0 {
                    break;
                }
                copy.push(&piece[..read])?;
            }
            let tag = session.finish_copy(copy)?;
            writeln!(out, "{tag}").map_err(stdout_failed)?;
        }
    }
    Ok(())
}

fn stdout_failed(source: std::io::Error) -> Error {
    Error::Io { path: "standard output".to_owned(), source }
}

/// Reads statements from standard input, each ended by a semicolon.
pub(crate) async fn run_interactive(session: &Session, format: Format) -> Result<(), Error> {
    let input = std::io::stdin();
    let is_terminal = input.is_terminal();
    let prompt = |continued: bool| {
        if is_terminal {
            print!("{}", if continued { "ratehouse-> " } else { "ratehouse=> " });
            let _ = std::io::stdout().flush();
        }
    };
    let mut text = String::new();
    prompt(false);
    let mut failed = None;
    loop {
        let mut line = String::new();
        let read = input
            .lock()
            .read_line(&mut line)
            .map_err(|source| Error::Io { path: "standard input".to_owned(), source })?;
        if matches!(line.trim(), "\\q" | "exit" | "quit") {
            break;
        }
        text += &line;
        let complete = text.trim_end().ends_with(';') || read == 0;
        if complete && !text.trim().is_empty() {
            if let Err(error) = run_text(session, &text, format).await {
                if !is_terminal {
                    failed = Some(error);
                    break;
                }
                eprintln!("ERROR:  {error}");
            }
            text.clear();
        }
        if read == 0 {
            break;
        }
        prompt(!text.trim().is_empty());
    }
    failed.map_or(Ok(()), Err)
}
