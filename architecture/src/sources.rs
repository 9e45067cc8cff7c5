//! The modules of a crate, and the files that they are in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, File, Item, ItemMod};

/// A module by its names from the crate's root on; the root has none.
pub type ModulePath = Vec<String>;

/// The sources of a crate, without its tests.
#[derive(Debug)]
pub struct Sources {
    /// Every module, those within a file too, and the index of its file.
    pub modules: BTreeMap<ModulePath, usize>,
    /// Every file.
    pub files: Vec<Source>,
}

/// A file.
#[derive(Debug)]
pub struct Source {
    /// The module that it is.
    pub module: ModulePath,
    /// Its name below `src`, without its ending, like `hub/twin`.
    pub name: String,
    /// What is in it.
    pub content: File,
}

/// Why the sources can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No such file, for example.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is no Rust.
    #[error("{}: {error}", path.display())]
    NoRust {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: syn::Error,
    },
}

impl Sources {
    /// Reads the crate whose sources are below `src`, from `root` on (like `lib.rs`).
    ///
    /// # Errors
    /// A file of it can't be read, or is no Rust.
    pub fn read(src: &Path, root: &str) -> Result<Self, SourceError> {
        let mut sources = Self {
            modules: BTreeMap::new(),
            files: Vec::new(),
        };
        sources.file(src, &src.join(root), src, Vec::new())?;
        Ok(sources)
    }

    /// Adds the file of a module, and those below it: they are in the folder `below`.
    fn file(
        &mut self,
        src: &Path,
        path: &Path,
        below: &Path,
        module: ModulePath,
    ) -> Result<(), SourceError> {
        let text = std::fs::read_to_string(path).map_err(|error| SourceError::Unreadable {
            path: path.into(),
            error,
        })?;
        let content = syn::parse_file(&text).map_err(|error| SourceError::NoRust {
            path: path.into(),
            error,
        })?;
        let name = path.strip_prefix(src).unwrap_or(path).with_extension("");
        let index = self.files.len();
        let items = content.items.clone();
        self.files.push(Source {
            module: module.clone(),
            name: name.to_string_lossy().into_owned(),
            content,
        });
        self.modules(src, index, &items, below, module)
    }

    /// Adds the modules that are declared among these items of a file.
    fn modules(
        &mut self,
        src: &Path,
        file: usize,
        items: &[Item],
        below: &Path,
        module: ModulePath,
    ) -> Result<(), SourceError> {
        for child in items.iter().filter_map(as_module) {
            let name = child.ident.to_string();
            let path: ModulePath = module.iter().cloned().chain([name.clone()]).collect();
            let folder = below.join(&name);
            match &child.content {
                Some((_, items)) => self.modules(src, file, items, &folder, path)?,
                None => self.file(src, &folder.with_extension("rs"), &folder, path)?,
            }
        }
        self.modules.insert(module, file);
        Ok(())
    }
}

/// A module that is no test.
fn as_module(item: &Item) -> Option<&ItemMod> {
    match item {
        Item::Mod(module) if !is_test(&module.attrs) => Some(module),
        _ => None,
    }
}

/// Whether these are the attributes of something that is there for tests alone.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg_test = attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"));
        is_cfg_test || attribute.path().is_ident("test")
    })
}
