//! Comparing the plan that is shown with another.

use std::ffi::{OsStr, OsString};
use std::sync::mpsc::Sender;
use std::time::{SystemTime, UNIX_EPOCH};

use bayplan_record::{Places, Source, live_runs, open, recordings};
use bayplan_text::{Count, escape, plural};

use super::Watch;
use crate::compare::{Comparing, Comparison, Other, compare, no_plan};
use crate::error::TuiError;
use crate::events::Message;
use crate::keys::Action;
use crate::model::Life;
use crate::model::compare::{Choice, ChoicePlace};
use crate::model::lists::ListKind;
use crate::{paths, picker, views};

/// Recordings that are listed to choose from.
const MOST: usize = 200;

/// What is compared with, and what is being compared.
pub(super) struct Comparer {
    places: Places,
    /// The recordings that were listed to choose from.
    others: Vec<Source>,
    /// All that can be compared with, before anything is typed.
    pub(super) all: Vec<Choice>,
    comparing: Option<Comparing>,
    /// What is compared with, or being so: it is again where another moment is shown.
    with: Option<(String, Other)>,
    /// Whether what is being compared takes the place of what was compared with the same before.
    is_again: bool,
    /// What is to be compared with once there is a plan.
    wanted: Option<OsString>,
    /// Who is told; where nobody is, nothing waits.
    tell: Option<Sender<Message>>,
}

impl Comparer {
    pub(super) fn new(tell: Option<&Sender<Message>>) -> Self {
        let (others, all, tell) = (Vec::new(), Vec::new(), tell.cloned());
        Self {
            places: Places::from_env(),
            others,
            all,
            comparing: None,
            with: None,
            is_again: false,
            wanted: None,
            tell,
        }
    }
}

impl Watch {
    /// Looks for other recordings there.
    #[cfg(test)]
    pub(crate) fn set_places(&mut self, places: Places) {
        self.other.places = places;
    }

    /// Does what an action asks of comparing; returns whether it was one that does.
    pub(super) fn compares(&mut self, action: Action) -> bool {
        match action {
            Action::Diff => {
                self.list_choices();
                self.open_window(action);
            }
            Action::EndDiff if self.model.compared().is_some() => self.end_diff(),
            Action::EndDiff => {
                let key = self.keys.name(Action::Diff);
                self.say(&format!("nothing is compared; {key} chooses another run"));
            }
            _ => return false,
        }
        true
    }

    /// Ends comparing, and leaves its view.
    pub(super) fn end_diff(&mut self) {
        self.model.compare(None);
        (self.other.comparing, self.other.with) = (None, None);
        if !views::listed(&self.model).any(|(at, _)| at == self.view) {
            self.show(1);
        }
        self.say("no longer compared");
    }

    fn list_choices(&mut self) {
        let own = self.model.live().session.as_ref().map(|session| session.id.clone());
        let others = others(&self.other.places).into_iter().filter(|(id, ..)| Some(id) != own.as_ref());
        let (sources, choices): (Vec<Source>, Vec<Choice>) =
            others.map(|(_, choice, source)| (source, choice)).unzip();
        let (mut all, moments) = self.model.own_choices(self.no_past());
        let placed =
            (0..).zip(choices).map(|(at, choice)| Choice { place: ChoicePlace::Recording(at), ..choice });
        all.extend(placed);
        all.extend(moments);
        (self.other.others, self.other.all) = (sources, all);
        self.type_path_or_words(String::new());
    }

    /// Compares with what is chosen in the list, or else with what was typed.
    pub(super) fn enter_choice(&mut self) -> bool {
        let chosen = self.model.lists.get(ListKind::Choices).chosen();
        let choice = chosen.and_then(|number| self.model.choices.get(number as usize).cloned());
        let typed = self.model.choosing.clone();
        // What is typed may be any name that a recording has on the command line.
        let typed =
            || Choice::new(title_of(typed.as_ref()), String::new(), ChoicePlace::Named(typed.clone()));
        let Some(choice) = choice.or_else(|| (!self.model.choosing.is_empty()).then(typed)) else {
            return true;
        };
        let other = match choice.place {
            ChoicePlace::Plan(number) => Other::Plan(number),
            ChoicePlace::Moment(stop, plan) => match self.source.clone() {
                Some(source) => Other::Moment(source, stop, plan),
                None => Other::Plan(plan),
            },
            ChoicePlace::Recording(at) => match self.other.others.get(at).cloned() {
                Some(source) => Other::Recording(source),
                None => return true,
            },
            ChoicePlace::Named(name) => match self.open_other(paths::expand(&name).as_ref()) {
                Ok(source) => Other::Recording(source),
                Err(error) => {
                    self.say(&error.to_string());
                    return true;
                }
            },
            ChoicePlace::Typed(text) => {
                self.type_path_or_words(text);
                return true;
            }
            ChoicePlace::Nowhere => {
                self.say(&format!("{}: {}", choice.name, choice.about));
                return true;
            }
        };
        self.window = None;
        self.begin_comparing(choice.name, other);
        true
    }

    fn comparison(&self, title: String, other: Other) -> Option<Comparison> {
        let (plan, arena) = self.model.wanted_map()?;
        Some(Comparison { title, other, shown: self.model.shown_state(), plan, arena })
    }

    /// Compares once more with the same: another moment is shown than when that was done. Standard input is read once.
    pub(super) fn compare_again(&mut self) {
        let with = self.other.with.clone().filter(|_| self.model.compared().is_some());
        let Some((title, other)) = with else { return };
        if matches!(&other, Other::Recording(source) if source.is_standard_input()) {
            return;
        }
        let said = self.status.take();
        self.begin(title, other, true);
        self.status = said;
    }

    fn begin_comparing(&mut self, title: String, other: Other) {
        self.begin(title, other, false);
    }

    fn begin(&mut self, title: String, other: Other, is_again: bool) {
        self.other.is_again = is_again;
        self.other.with = Some((title.clone(), other.clone()));
        let Some(comparison) = self.comparison(title, other) else {
            return self.say("there is no plan to compare yet");
        };
        let Some(tell) = self.other.tell.clone() else { return self.take_comparison(compare(&comparison)) };
        let title = comparison.title.clone();
        match Comparing::begin(comparison, tell) {
            Ok(comparing) => {
                self.say(&format!("comparing with {title} …"));
                self.other.comparing = Some(comparing);
            }
            Err(error) => self.say(&error.to_string()),
        }
    }

    /// Takes what came of comparing; returns whether the picture changes.
    pub(super) fn see_to_comparing(&mut self) -> bool {
        let over = self.model.caught_up && self.model.life != Life::Live;
        if over && self.model.plan().is_none() && self.other.wanted.take().is_some() {
            self.say(&self.no_plan_here());
            return true;
        }
        if let Some(name) = self.other.wanted.take_if(|_| self.model.caught_up && self.model.plan().is_some())
        {
            match self.open_other(&name) {
                Ok(source) => self.begin_comparing(title_of(&name), Other::Recording(source)),
                Err(error) => self.say(&error.to_string()),
            }
            return true;
        }
        let Some(outcome) = self.other.comparing.as_ref().and_then(Comparing::take) else { return false };
        self.other.comparing = None;
        self.take_comparison(outcome);
        true
    }

    fn take_comparison(&mut self, outcome: crate::compare::Outcome) {
        match outcome {
            Ok((compared, ghost)) => {
                let end = self.keys.name(Action::EndDiff);
                let words = if compared.is_of_one_session() {
                    let count = Count(compared.lives().len() as u64);
                    format!(
                        "compared with {}: {count} tensors live at one alone; {end} ends it",
                        compared.title
                    )
                } else if compared.diff.is_empty() {
                    let title = &compared.title;
                    let times = match compared.diff.slower_and_faster() {
                        (0, 0) => String::new(),
                        (slower, faster) => {
                            format!(", {} slower and {faster} faster in it", plural(slower as u64, "op"))
                        }
                    };
                    format!("{title} has the same plan{times}; {end} ends comparing")
                } else {
                    format!("compared with {}; {end} ends it", compared.title)
                };
                if std::mem::take(&mut self.other.is_again) {
                    self.model.compare_anew(compared);
                    self.model.set_ghost(ghost);
                    return;
                }
                self.model.compare(Some(compared));
                self.model.set_ghost(ghost);
                let view = views::listed(&self.model).find(|(_, view)| view.title() == "Diff");
                if let Some(at) = view.map(|(at, _)| at) {
                    self.show(at);
                }
                self.say(&words);
            }
            Err(why) => self.say(&why),
        }
    }

    /// Compares with a recording as soon as the plan of this one is known.
    pub(crate) fn compare_with(&mut self, name: &OsStr) {
        self.other.wanted = Some(name.to_owned());
    }

    /// Why there is nothing of the recording that is shown to compare.
    fn no_plan_here(&self) -> String {
        no_plan("the recording that is shown", &self.model.timeline)
    }

    /// Opens a recording to compare with.
    fn open_other(&self, name: &OsStr) -> Result<Source, TuiError> {
        let source = open(name, &self.other.places)?;
        let is_shown = |shown: &Source| shown.is_standard_input();
        if source.is_standard_input() && self.source.as_ref().is_some_and(is_shown) {
            let why = "standard input is one recording: - can stand for one of the two only";
            return Err(TuiError::NotCompared(why.to_owned()));
        }
        Ok(source)
    }

    /// Compares with a recording before a picture is drawn of it.
    ///
    /// # Errors
    /// There is no such recording, or one of both has no plan.
    pub(crate) fn compare_now(&mut self, name: &OsStr) -> Result<(), TuiError> {
        let source = self.open_other(name)?;
        self.other.with = Some((title_of(name), Other::Recording(source.clone())));
        let comparison = self.comparison(title_of(name), Other::Recording(source));
        let comparison = comparison.ok_or_else(|| TuiError::NotCompared(self.no_plan_here()))?;
        let view = self.view;
        let outcome = compare(&comparison).map_err(TuiError::NotCompared)?;
        self.take_comparison(Ok(outcome));
        // The view that was asked for, unless it was none.
        if view != 0 {
            self.show(view);
        }
        self.status = None;
        Ok(())
    }
}

/// What a recording that was named is called.
fn title_of(name: &OsStr) -> String {
    escape(&name.to_string_lossy()).to_string()
}

/// The recordings there are, live ones first: the name of the run, what people know it by, more about it, and where it is.
fn others(places: &Places) -> Vec<(String, Choice, Source)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let choice = |id: &str, model: &str, device: &str, start: u64, state: &str| {
        // The name of a run is its process and when it began.
        let process = id.split_once('-').map_or(id, |(process, _)| process);
        let ago = picker::ago(now.saturating_sub(start));
        Choice {
            name: format!("{}, process {}", escape(model), escape(process)),
            about: format!("{state}, began {ago} on {}, run {}", escape(device), escape(id)),
            place: ChoicePlace::Recording(0),
        }
    };
    let live = live_runs(places).unwrap_or_default().into_iter().map(|run| {
        let about = choice(&run.id, &run.model, &run.device, run.start_unix_ns, "live");
        (run.id.clone(), about, Source::of_run(run, places))
    });
    let ended = recordings(places).unwrap_or_default().into_iter().map(|entry| {
        let about = choice(&entry.id, &entry.model, &entry.device, entry.start_unix_ns, "over");
        (entry.id, about, Source::of_path(entry.path))
    });
    live.chain(ended).take(MOST).collect()
}
