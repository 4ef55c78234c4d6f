//! What can be asked for.

use watchfire_ledger::Kind;
use watchfire_sql::TABLES;

/// Names every table and column.
pub(super) fn show() {
    for table in &TABLES {
        let [name, file] = table.names;
        let other = if name == file { String::new() } else { format!(" (or {file})") };
        println!("{name}{other}: {}", table.help);
        for column in table.columns() {
            let kind = match column.kind() {
                Kind::Text => "text",
                Kind::Ip => "address",
                Kind::Int => "integer",
                Kind::Time => "timestamp",
            };
            println!("  {:<19} {kind:<9} {}", column.name(), column.help());
        }
        println!();
    }
    println!(
        "json_text(record, '/client/kind'): what else stands in a record, by its place in the JSON, as a text"
    );
}
