//! `helpmate label user`.

use super::{DatabaseArguments, OPERATOR};
use crate::error::{CommandError, of_stdout};
use crate::{output, table};
use ::label::{NewPerson, Role};
use clap::{Args, Subcommand};
use std::io::Write;

/// Add, list and change people
#[derive(Subcommand)]
#[command(after_help = "Example:\n  helpmate label user add mia --role manager")]
pub enum User {
    Add(Add),
    List(List),
    Change(Change),
}

impl User {
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            User::Add(command) => command.run(),
            User::List(command) => command.run(),
            User::Change(command) => command.run(),
        }
    }
}

/// Where a password comes from.
#[derive(Args)]
struct PasswordArguments {
    /// Read the password from the first line of standard input instead of making one up
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    /// The password, and whether it was made up here.
    fn get(&self) -> Result<(String, bool), CommandError> {
        if !self.password_stdin {
            return Ok((made_up()?, true));
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| CommandError::input(format!("stdin: {error}")))?;
        let password = line.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            return Err(CommandError::input("stdin: no password on the first line"));
        }
        Ok((password, false))
    }
}

/// Eighteen random letters and digits: 93 bits.
fn made_up() -> Result<String, CommandError> {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::new();
    while text.len() < 18 {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| CommandError::missing(format!("random bytes: {error}")))?;
        // 252 is the largest multiple of 36 in a byte: each letter is as likely.
        let fair = bytes.into_iter().filter(|byte| *byte < 252);
        text.extend(fair.map(|byte| char::from(LETTERS[usize::from(byte) % 36])));
    }
    text.truncate(18);
    Ok(text)
}

/// A made-up password goes to stdout, where it can be taken from; everything else is said on stderr.
fn tell_password(password: &str, is_made_up: bool) -> Result<(), CommandError> {
    if is_made_up {
        writeln!(std::io::stdout(), "{password}").map_err(of_stdout)?;
        eprintln!("that is the password; it is shown this once and can be changed on the account page");
    }
    Ok(())
}

/// Add a person
///
/// Prints a password made up for them, unless --password-stdin gives one.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label user add ada --group held-out")]
pub struct Add {
    /// Log-in name
    name: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// labeler does tasks; reviewer also reviews and decides; manager also makes projects and looks after people
    #[arg(long, value_name = "ROLE", default_value = "labeler")]
    role: String,
    /// Labeler group, such as held-out; exports carry it
    #[arg(long, value_name = "NAME", default_value = "")]
    group: String,
    #[command(flatten)]
    password: PasswordArguments,
}

impl Add {
    fn run(self) -> Result<(), CommandError> {
        let role: Role = self.role.parse().map_err(CommandError::usage)?;
        let store = self.database.open()?;
        let (password, is_made_up) = self.password.get()?;
        let new = NewPerson { name: self.name, password: Some(password.clone()), role, group: self.group };
        let person = store.add_person(OPERATOR, &new)?;
        eprintln!("added {} as {} to {}", person.name, person.role, store.describe());
        tell_password(&password, is_made_up)
    }
}

/// List people
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label user list --db labels.db")]
pub struct List {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(self) -> Result<(), CommandError> {
        let people = self.database.open_existing()?.people(OPERATOR)?;
        output::report(&people, self.json, |people| {
            let rows: Vec<Vec<String>> = people
                .iter()
                .map(|person| {
                    let state = match () {
                        () if person.erased => "erased",
                        () if !person.active => "shut out",
                        () => "active",
                    };
                    let group = if person.group.is_empty() { "-" } else { &person.group };
                    vec![person.name.clone(), person.role.to_string(), group.to_owned(), state.to_owned()]
                })
                .collect();
            table::render(&["name", "role", "group", "state"], &rows)
        })
    }
}

/// Change a person's role, group or password, or shut them out
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label user change ada --role reviewer")]
pub struct Change {
    /// Log-in name
    name: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Role to give
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Group to put them into; "" for none
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Let them log in, or not
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    /// Give them another password, which logs them out everywhere
    #[arg(long)]
    new_password: bool,
    #[command(flatten)]
    password: PasswordArguments,
}

impl Change {
    fn run(self) -> Result<(), CommandError> {
        let role: Option<Role> = self.role.as_deref().map(str::parse).transpose().map_err(CommandError::usage)?;
        let store = self.database.open_existing()?;
        let person = store.person_by_name(&self.name)?;
        let id = person.ok_or_else(|| CommandError::input(format!("no person {:?}", self.name)))?.id;
        if let Some(role) = role {
            store.set_role(OPERATOR, id, role)?;
        }
        if let Some(group) = &self.group {
            store.set_group(OPERATOR, id, group)?;
        }
        if let Some(active) = self.active {
            store.set_active(OPERATOR, id, active)?;
        }
        if self.new_password || self.password.password_stdin {
            let (password, is_made_up) = self.password.get()?;
            store.set_password(OPERATOR, id, &password)?;
            tell_password(&password, is_made_up)?;
        }
        Ok(())
    }
}
