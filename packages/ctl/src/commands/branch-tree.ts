import type { Branch } from '@offshoot/client';

/** A branch with those that start from it. */
export interface Tree extends Branch {
  children: Tree[];
}

/** By name on each level; of one branch, or of all that start from no branch. */
export function branchTree(branches: readonly Branch[], of?: string): Tree[] {
  const trees = new Map<string, Tree>(
    [...branches].sort(byName).map((branch) => [branch.name, { ...branch, children: [] }]),
  );
  const tops: Tree[] = [];
  for (const tree of trees.values()) {
    const parent = tree.parent === undefined ? undefined : trees.get(tree.parent);
    (parent?.children ?? tops).push(tree);
  }
  if (of === undefined) return tops;
  const one = trees.get(of);
  return one === undefined ? [] : [one];
}

export function treeText(trees: readonly Tree[]): string {
  if (trees.length === 0)
    return 'no branches; import a tenant first: pageserver-ctl tenant import NAME --from URL';
  return trees.flatMap((tree) => linesOf(tree, '', '')).join('\n');
}

/** `own` stands before its line, `below` before those of its children. Not recursive: a tree may be very deep. */
function linesOf(root: Tree, own: string, below: string): string[] {
  const lines: string[] = [];
  const stack = [{ tree: root, own, below }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    lines.push(`${next.own}${label(next.tree)}`);
    const { children } = next.tree;
    for (const [index, tree] of [...children.entries()].reverse()) {
      const last = index === children.length - 1;
      stack.push({
        tree,
        own: `${next.below}${last ? '└─ ' : '├─ '}`,
        below: `${next.below}${last ? '   ' : '│  '}`,
      });
    }
  }
  return lines;
}

function label({ name, base_lsn, compute, state, expires_at, protected: kept }: Tree): string {
  const facts = [
    base_lsn,
    ...(compute === 'stopped' ? [] : [compute]),
    ...(kept ? ['protected'] : []),
    ...(expires_at === undefined ? [] : [`${state === 'expired' ? 'expired' : 'expires'} ${expires_at}`]),
  ];
  return `${name}  ${facts.join(', ')}`;
}

function byName(a: Branch, b: Branch): number {
  return a.name < b.name ? -1 : 1;
}
