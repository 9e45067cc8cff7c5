//! Who knows whom within a crate.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, UseTree};

use crate::sources::{ModulePath, Sources, is_test};

/// Files by their index, and what they know.
#[derive(Debug, Clone)]
pub struct Imports {
    /// Names of the files.
    pub names: Vec<String>,
    /// Of each file, those that it knows, itself not among them.
    pub known: Vec<BTreeSet<usize>>,
}

impl Imports {
    /// Reads them out of the sources.
    pub fn of(sources: &Sources) -> Self {
        let known = sources.files.iter().enumerate().map(|(index, file)| {
            let mut reader = Reader {
                sources,
                module: file.module.clone(),
                known: BTreeSet::new(),
            };
            reader.visit_file(&file.content);
            reader.known.remove(&index);
            reader.known
        });
        Self {
            names: sources.files.iter().map(|file| file.name.clone()).collect(),
            known: known.collect(),
        }
    }
}

/// Reads what a file names.
struct Reader<'a> {
    sources: &'a Sources,
    /// Where it is.
    module: ModulePath,
    known: BTreeSet<usize>,
}

impl Reader<'_> {
    /// Something is named, from here.
    fn named(&mut self, path: &[String]) {
        let Some(absolute) = self.absolute(path) else {
            return;
        };
        // The longest beginning that is a module; what follows is in there.
        let mut lengths = (0..=absolute.len()).rev();
        let module = lengths.find_map(|length| self.sources.modules.get(&absolute[..length]));
        self.known.extend(module);
    }

    /// The path from the crate's root on; none where it leaves the crate.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let mut at = self.module.clone();
        let mut names = path.iter().peekable();
        match names.peek()?.as_str() {
            "crate" => {
                at.clear();
                names.next();
            }
            "self" | "super" => {
                while let Some(name) =
                    names.next_if(|name| matches!(name.as_str(), "self" | "super"))
                {
                    if name == "super" {
                        at.pop();
                    }
                }
            }
            child => {
                at.push(child.to_owned());
                self.sources.modules.get(&at)?;
                names.next();
            }
        }
        at.extend(names.cloned());
        Some(at)
    }

    /// Every path that a `use` is short for.
    fn used(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.used(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => self.named(&with(&name.ident)),
            UseTree::Rename(rename) => self.named(&with(&rename.ident)),
            UseTree::Glob(_) => self.named(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.used(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_for_tests = matches!(item, ImplItem::Fn(function) if is_test(&function.attrs));
        if !is_for_tests {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.content.is_some() {
            self.module.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.used(&item.tree, &[]);
    }

    /// Who may know something is not whom it knows.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|name| name.ident.to_string())
            .collect();
        // One name is of this file, or was imported.
        if names.len() > 1 {
            self.named(&names);
        }
        visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
