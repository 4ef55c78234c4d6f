//! Which statements are done: those that ask.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Sql;

/// What can be said.
pub(crate) const ALLOWED: &str = "SELECT, WITH, VALUES, EXPLAIN, DESCRIBE and SHOW";

/// The verb of a statement that is not done; none if it is.
pub(crate) fn refused(statement: &Statement) -> Option<String> {
    let is_allowed = match statement {
        Statement::Explain(explain) => return refused(&explain.statement),
        Statement::Statement(sql) => match &**sql {
            Sql::Explain { statement, .. } => {
                return refused(&Statement::Statement(statement.clone()));
            }
            Sql::Query(_)
            | Sql::ExplainTable { .. }
            | Sql::ShowTables { .. }
            | Sql::ShowColumns { .. }
            | Sql::ShowFunctions { .. } => true,
            _ => false,
        },
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    };
    if is_allowed {
        return None;
    }
    let text = statement.to_string();
    Some(text.split_whitespace().next().unwrap_or_default().to_uppercase())
}
