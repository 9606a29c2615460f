//! The store through its public face, every scenario on SQLite and on PostgreSQL.
//!
//! On SQLite each scenario is a test of its own. On PostgreSQL all of them run in one test, each in
//! a fresh database of one server, which that test starts and stops. Without PostgreSQL's programs
//! it says so and passes, unless HELPMATE_REQUIRE_SERVICES=1.
#![allow(clippy::unwrap_used)] // a panic is the report

mod concurrent;
mod durable;
mod exported;
mod fixture;
mod hostile;
mod kept;
mod labeling;
mod measured;
mod persons;
mod prompted;
mod queue;
mod returned;
mod server;
mod trees;

use fixture::Fixture;

macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$module::$name(&super::Fixture::sqlite());
            })*
        }

        const ALL: &[(&str, fn(&Fixture))] = &[$((stringify!($name), $module::$name)),*];
    };
}

scenarios! {
    labeling::two_people_rank_with_ties,
    labeling::a_form_that_does_not_fit_is_refused_and_loses_nothing,
    labeling::a_correction_is_a_new_row,
    labeling::writing_makes_prompts_answers_and_reviews,
    labeling::a_judgement_remembers_the_guide_it_was_made_under,
    queue::leases_expire_and_late_work_is_kept_while_there_is_room,
    queue::nobody_gets_a_task_twice_or_their_own_words,
    queue::higher_priority_comes_first,
    queue::gold_comes_among_the_others,
    queue::the_test_decides_who_works,
    queue::reviewers_decide_disagreements,
    persons::names_passwords_and_roles,
    persons::wrong_passwords_lock,
    persons::sessions_rotate_and_end,
    persons::invitations_count_once,
    persons::tokens_have_scopes,
    persons::every_door_has_its_role,
    prompted::duplicates_and_limits,
    prompted::collected_prompts_go_when_their_time_is_over,
    prompted::tasks_are_made_once,
    prompted::generations_are_claimed_once,
    kept::a_person_can_be_erased,
    kept::a_user_can_be_erased,
    kept::a_backup_is_a_database,
    exported::rankings_are_rows_of_the_contract,
    exported::aggregates_and_pairs,
    exported::demonstrations_ratings_and_reviews,
    trees::a_tree_comes_out_as_it_went_in,
    trees::a_conversation_grows_by_the_rules,
    measured::a_report_worked_by_hand,
    returned::exports_come_back_as_they_were,
    returned::rows_and_the_store_say_the_same,
    returned::rows_that_do_not_fit_change_nothing,
    returned::names_become_pseudonyms_and_partial_rankings_join,
    concurrent::many_hands_do_every_task_once,
    hostile::forged_and_foreign_things_are_unknown,
    hostile::text_of_any_kind_comes_back,
}

#[test]
fn postgres_holds_every_scenario() {
    let Some(server) = server::Server::start() else { return };
    let mut failed = Vec::new();
    for (name, scenario) in ALL {
        let fixture = Fixture::open(server.database(name), tempfile::tempdir().expect("temporary folder"));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scenario(&fixture)));
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:?}");
}

#[test]
fn postgres_is_reached_with_tls_or_not_at_all() {
    let file = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/tls").join(name);
    let (certificate, key) = (file("server.crt"), file("server.key"));
    let Some(server) = server::Server::start_with_tls(&certificate, &key) else { return };
    let address = server.database("labels");
    let options = label::OpenOptions::default();
    let open = |parameters: &str| {
        label::Store::open(&format!("{address}{parameters}"), &options).map(|store| store.describe().to_owned())
    };
    // The authority that signed the server's certificate is known: connected, and nothing is shown of it.
    let authority = format!("?sslmode=require&sslrootcert={}", file("authority.crt").display());
    let shown = open(&authority).unwrap();
    assert!(shown.starts_with("postgres://helpmate@localhost:") && !shown.contains("ssl"), "{shown}");
    assert!(open(&authority.replace("require", "verify-full")).is_ok());
    // Without TLS this server lets nobody in; with TLS that nobody vouches for we don't go in.
    let refused = |parameters: &str, words: &str| {
        let error = open(parameters).unwrap_err().to_string();
        assert!(error.contains(words), "{parameters}: {error}");
    };
    refused("", "no encryption");
    refused("?sslmode=disable", "no encryption");
    refused("?sslmode=require", "certificate");
    refused(&format!("?sslmode=require&sslrootcert={}", file("other.crt").display()), "certificate");
    refused("?sslmode=require&sslrootcert=/no/such/file", "/no/such/file");
    refused("?sslmode=sometimes", "sslmode");
    // A server that knows no TLS isn't spoken to without it.
    let Some(plain) = server::Server::start() else { return };
    let address = plain.database("labels");
    let error = label::Store::open(&format!("{address}&{}", &authority[1..]), &options).unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
}
