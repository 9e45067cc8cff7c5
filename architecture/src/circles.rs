//! Files that know each other.

use petgraph::graph::DiGraph;

use crate::imports::Imports;

/// The circles: of each the names of its files, the largest circle first. A file that is in none is left out.
///
/// By Tarjan, *Depth-first search and linear graph algorithms* (1972): the strongly connected components.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let mut graph = DiGraph::<&str, ()>::new();
    let nodes: Vec<_> = imports
        .names
        .iter()
        .map(|name| graph.add_node(name))
        .collect();
    for (from, known) in nodes.iter().zip(&imports.known) {
        for &to in known {
            graph.add_edge(*from, nodes[to], ());
        }
    }
    let mut circles: Vec<Vec<String>> = petgraph::algo::tarjan_scc(&graph)
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .map(|circle| {
            let mut names: Vec<_> = circle
                .into_iter()
                .map(|node| graph[node].to_owned())
                .collect();
            names.sort();
            names
        })
        .collect();
    circles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    circles
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn files_that_know_each_other_are_found_and_no_others() {
        let imports = Imports {
            names: ["top", "a", "b", "c", "leaf"].map(Into::into).to_vec(),
            known: vec![
                BTreeSet::from([1, 4]),
                BTreeSet::from([2]),
                BTreeSet::from([3, 4]),
                BTreeSet::from([1]),
                BTreeSet::new(),
            ],
        };
        assert_eq!(circles(&imports), [["a", "b", "c"]]);
    }
}
