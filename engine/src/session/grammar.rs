//! PostgreSQL's grammar with bounds: parsing takes time in proportion to the text, and what it makes is not too deep.
//!
//! The parser tries several readings of what is in brackets, and tries them again in each pair of brackets: without a bound forty of
//! them take longer than anyone waits. Operators in a row nest as deeply as they are many, and everything after the parser walks
//! that depth on a thread's stack.

use std::any::TypeId;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::sql::sqlparser::ast::{Expr, Statement as Ast};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::security::SessionError;
use crate::security::errors::from_parser;
use crate::security::guard::too_complex;

/// How deeply a statement may nest.
const DEPTH_MAX: usize = 50;
/// Operators in a row.
const CHAIN_MAX: usize = 2_000;
/// How many operators a join or a set operation counts as: each nests whole queries.
const QUERY_WEIGHT: usize = 4;
/// Expressions that the parser may begin for each byte of text, and for any text.
const STEPS_PER_BYTE: usize = 4;
const STEPS_FREE: usize = 20_000;

/// Parses a text.
///
/// # Errors
/// `42601` with its place; `54001` for what is nested too deeply or is too long a chain.
pub(super) fn parse(sql: &str) -> Result<Vec<Ast>, SessionError> {
    let grammar = Grammar { steps: AtomicUsize::new(STEPS_FREE + sql.len() * STEPS_PER_BYTE) };
    let failed = |error: ParserError| {
        // Out of steps, whatever the parser made of it.
        if grammar.steps.load(Ordering::Relaxed) == 0 { too_complex() } else { from_parser(&error) }
    };
    let tokens = Tokenizer::new(&grammar, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| failed(error.into()))?;
    check_chains(&tokens)?;
    let tokens = with_known_forms(tokens);
    let parser = Parser::new(&grammar).with_recursion_limit(DEPTH_MAX);
    parser.with_tokens_with_locations(tokens).parse_statements().map_err(failed)
}

/// Statements that the parser does not read, as ones that it does: `table t` is `select * from t`, in brackets when it stands in some,
/// `from only t` is `from t`, and a transaction that is `deferrable` waits for nothing here.
fn with_known_forms(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result = Vec::with_capacity(tokens.len());
    // The statement's first word; before it, none.
    let mut first = None;
    let mut argument = false;
    for token in tokens {
        // The name of a table that is an argument ends with what cannot go on with it.
        let goes_on = match &token.token {
            Token::Whitespace(_) | Token::Period => true,
            Token::Word(_) => {
                follows_token(&result, |last| *last == Token::Period || *last == Token::make_keyword("FROM"))
            }
            _ => false,
        };
        if argument && !goes_on {
            argument = false;
            result.push(TokenWithSpan { token: Token::RParen, span: token.span });
        }
        let keyword = match &token.token {
            Token::SemiColon => {
                first = None;
                None
            }
            Token::Whitespace(_) => None,
            Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
            _ => Some(Keyword::NoKeyword),
        };
        let Some(keyword) = keyword else {
            result.push(token);
            continue;
        };
        let is_first = first.is_none();
        let verb = *first.get_or_insert(keyword);
        match keyword {
            Keyword::TABLE if is_first || is_alone_in_brackets(&result) => {
                let spelled = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
                result.extend(spelled.map(|word| TokenWithSpan { token: word, span: token.span }));
            }
            Keyword::TABLE if is_argument(&result) => {
                let spelled = [Token::LParen, Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
                result.extend(spelled.map(|word| TokenWithSpan { token: word, span: token.span }));
                argument = true;
            }
            // Nothing here has descendants.
            Keyword::ONLY if follows(&result, &[Keyword::FROM, Keyword::JOIN, Keyword::UPDATE]) => {}
            Keyword::DEFERRABLE if matches!(verb, Keyword::BEGIN | Keyword::START | Keyword::SET) => {
                let is_not = |token: &Token| matches!(token, Token::Word(word) if word.keyword == Keyword::NOT);
                while result.last().is_some_and(|last: &TokenWithSpan| {
                    matches!(last.token, Token::Whitespace(_) | Token::Comma) || is_not(&last.token)
                }) {
                    result.pop();
                }
            }
            _ => result.push(token),
        }
    }
    result
}

/// The tokens from the last on that are no spaces.
fn backward(tokens: &[TokenWithSpan]) -> impl Iterator<Item = &Token> {
    tokens.iter().rev().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)))
}

/// Whether what comes next is an argument of a function.
fn is_argument(tokens: &[TokenWithSpan]) -> bool {
    let mut back = backward(tokens);
    match back.next() {
        Some(Token::Comma | Token::RArrow) => true,
        Some(Token::LParen) => matches!(back.next(), Some(Token::Word(word)) if word.keyword == Keyword::NoKeyword),
        _ => false,
    }
}

/// Whether what comes next begins in brackets that are no function's.
fn is_alone_in_brackets(tokens: &[TokenWithSpan]) -> bool {
    backward(tokens).next() == Some(&Token::LParen) && !is_argument(tokens)
}

/// Whether the last token that is no space is one of some.
fn follows_token(tokens: &[TokenWithSpan], is_one: impl Fn(&Token) -> bool) -> bool {
    backward(tokens).next().is_some_and(is_one)
}

/// Whether the last word is one of these.
fn follows(tokens: &[TokenWithSpan], keywords: &[Keyword]) -> bool {
    let last = tokens.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
    matches!(last.map(|token| &token.token), Some(Token::Word(word)) if word.quote_style.is_none() && keywords.contains(&word.keyword))
}

fn check_chains(tokens: &[TokenWithSpan]) -> Result<(), SessionError> {
    let mut chains = vec![0_usize];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => chains.push(0),
            Token::RParen | Token::RBracket if chains.len() > 1 => drop(chains.pop()),
            Token::Comma | Token::SemiColon => *last(&mut chains) = 0,
            other => {
                let chain = last(&mut chains);
                *chain += weight(other);
                if *chain > CHAIN_MAX {
                    return Err(too_complex());
                }
            }
        }
    }
    Ok(())
}

fn last(chains: &mut Vec<usize>) -> &mut usize {
    if chains.is_empty() {
        chains.push(0);
    }
    let at = chains.len() - 1;
    &mut chains[at]
}

/// How much deeper a token makes the expression or query that it is in.
fn weight(token: &Token) -> usize {
    match token {
        Token::Word(word) if word.quote_style.is_none() => match word.keyword {
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN => QUERY_WEIGHT,
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::NOTNULL => 1,
            _ => 0,
        },
        Token::Word(_)
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::Period
        | Token::EOF => 0,
        _ => 1,
    }
}

/// The dialect, counting steps.
#[derive(Debug)]
struct Grammar {
    steps: AtomicUsize,
}

/// Methods that answer as PostgreSQL's dialect does.
macro_rules! as_postgresql {
    ($($name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> $answer {
            PostgreSqlDialect {}.$name($($argument),*)
        })*
    };
}

impl Dialect for Grammar {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn parse_prefix(&self, _parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let left = self.steps.load(Ordering::Relaxed);
        if left == 0 {
            return Some(Err(ParserError::ParserError("too many steps".to_owned())));
        }
        self.steps.store(left - 1, Ordering::Relaxed);
        None
    }

    /// `is distinct from` binds as other forms of `is` do; the parser takes all that follows as its right side.
    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        const DISTINCT: [Keyword; 3] = [Keyword::IS, Keyword::DISTINCT, Keyword::FROM];
        const NOT_DISTINCT: [Keyword; 4] = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
        let form = if parser.parse_keywords(&DISTINCT) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&NOT_DISTINCT) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        Some(parser.parse_subexpr(precedence).map(|right| form(Box::new(left.clone()), Box::new(right))))
    }

    /// Names of arguments are identifiers here; as expressions they are read twice, and so is all that is in them.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    as_postgresql! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_reserved_for_identifier(kw: Keyword) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        get_next_precedence(parser: &Parser<'_>) -> Option<Result<u8, ParserError>>;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        prec_value(prec: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{BinaryOperator, SelectItem, SetExpr};

    use super::*;

    fn code(sql: &str) -> &'static str {
        parse(sql).map_or_else(|error| error.sqlstate, |_| "00000")
    }

    #[test]
    fn nested_readings_end_soon() {
        for (open, inner, close) in [
            ("upper(", "'a'", ")"),
            ("array[", "1", "]"),
            ("row(", "1", ")"),
            ("not (", "true", ")"),
            ("cast(", "1", " as int)"),
            ("(select ", "1", ")"),
            ("array[", "", ""),
            ("case when ", "1", ""),
        ] {
            let nested = |depth: usize| format!("select {}{inner}{}", open.repeat(depth), close.repeat(depth));
            // Deeper than anyone writes, and it ends: either way would do, forever would not.
            for depth in [20, 45, 200, 10_000] {
                assert!(["00000", "54001", "42601"].contains(&code(&nested(depth))), "{depth} {open}");
            }
        }
        assert_eq!(code(&format!("select {}1{}", "upper(".repeat(20), ")".repeat(20))), "00000");
    }

    #[test]
    fn forms_that_the_parser_does_not_read() {
        let text = |sql: &str| parse(sql).expect("SQL")[0].to_string();
        assert_eq!(text("table ref.nodes limit 1"), "SELECT * FROM ref.nodes LIMIT 1");
        assert_eq!(text("begin read only, not deferrable"), "BEGIN READ ONLY");
        assert_eq!(
            text("start transaction isolation level serializable read only deferrable;"),
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"
        );
        assert_eq!(parse("select 1; table a; lock table b in access share mode").expect("SQL").len(), 3);
        assert_eq!(text("select count(*) from only a"), "SELECT count(*) FROM a");
        let call = "SELECT * FROM forecast((SELECT * FROM ref.a), x => (SELECT * FROM b), y => 1)";
        assert_eq!(text("select * from forecast(table ref.a, x => table b, y => 1)"), call);
        assert_eq!(text("select * from (table a) b where c = 1"), "SELECT * FROM (SELECT * FROM a) b WHERE c = 1");
        let and = |sql: &str| {
            matches!(&parse(sql).expect("SQL")[0], Ast::Query(query)
            if matches!(&*query.body, SetExpr::Select(select)
                if matches!(&select.projection[0], SelectItem::UnnamedExpr(Expr::BinaryOp { op: BinaryOperator::And, .. }))))
        };
        assert!(and("select a is distinct from b and c") && and("select a is not distinct from b = d and c"));
        // A word is a word elsewhere.
        assert_eq!(text("select deferrable from a"), "SELECT deferrable FROM a");
    }

    #[test]
    fn chains_are_bounded() {
        for link in
            ["1+", "1||", "true and ", "true or ", "not ", "1::int::", "- ", "1 union all select ", "1 is null is "]
        {
            let chain = |links: usize| format!("select {}1", link.repeat(links));
            assert_eq!(code(&chain(20_000)), "54001", "{link}");
        }
        assert_eq!(code(&format!("select {}1", "1+".repeat(1_900))), "00000");
        // Elements of a list are no chain.
        assert_eq!(code(&format!("select 1 in ({}1)", "1+1,".repeat(10_000))), "00000");
    }
}
