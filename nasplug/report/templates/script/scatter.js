// Two dimensions against each other: dominated trials, the front, those that break a constraint, and selected ones.

const describeRow = (model, row, ...dims) => [
  brief(row.label, 110),
  `${model.studies.length > 1 ? `${row.study.name} · ` : ''}${row.name}${row.front ? ' · Pareto front' : row.state === 'complete' ? '' : ` · ${row.state}`}`,
  ...[...new Set([...dims, ...model.of('objective')])].filter((dim) => dim && dim.at(row) !== null && dim.key !== 'number')
    .map((dim) => `${dim.name}: ${dim.text(row)}`),
  against(model, row).join(', '),
  row.note ? shorten(row.note, 140) : '',
];

const pointsOf = (rows, x, y) => {
  const found = [];
  for (const row of rows) {
    const [a, b] = [x.at(row), y.at(row)];
    if (a !== null && b !== null) found.push({ x: a, y: b, row });
  }
  return found;
};

const axisOf = (dim) => ({ name: dim.name, cat: dim.cat, options: dim.options, whole: dim.whole, write: dim.write });

const scatter = (host, { model, state, matched, x, y, pick, height }) => {
  const inside = new Set(matched);
  const complete = pointsOf(matched.filter((row) => row.state !== 'failed'), x, y);
  const outside = inside.size < model.rows.length ? pointsOf(model.rows.filter((row) => !inside.has(row)), x, y) : [];
  const dots = [{ items: [], colour: 'var(--muted)', size: 4, faint: 0.18 }];
  if (outside.length) dots[0].items = outside;
  const lines = [];
  const several = model.studies.length > 1;
  model.studies.forEach((study, s) => {
    const own = several ? complete.filter((p) => p.row.s === s) : complete;
    const colour = several ? MANY[s % MANY.length] : 'var(--c1)';
    const size = own.length > 1500 ? 4 : 6;
    dots.push({ items: own.filter((p) => !p.row.ok), colour: 'var(--muted)', size, hollow: true, faint: 0.8 });
    dots.push({ items: own.filter((p) => p.row.ok && !p.row.front), colour, size, faint: several ? 0.35 : 0.5 });
    const front = own.filter((p) => p.row.front);
    const objectives = study.objectives.map(([name]) => `value:${name}`);
    if (objectives.length === 2 && objectives.includes(x.key) && objectives.includes(y.key) && x !== y && front.length > 1) {
      const sorted = [...front].sort((a, b) => a.x - b.x).map((p) => [p.x, p.y]);
      lines.push({ points: sorted, step: (y.direction === 'max') === (x.direction === 'min') ? 'post' : 'pre', width: 1.4,
        colour: several ? colour : 'var(--c3)' });
    }
    dots.push({ items: front, colour: several ? colour : 'var(--c3)', size: 9 });
  });
  const guides = model.studies.flatMap((study) => study.constraints).flatMap(([name, , bound]) => [['x', x], ['y', y]]
    .filter(([, dim]) => dim.name === name && !dim.cat && dim.key.startsWith('value:')).map(([axis]) => ({ axis, at: bound })));
  const marks = state.picked.map((key, index) => ({ row: model.byKey.get(key), index }))
    .filter(({ row }) => row && x.at(row) !== null && y.at(row) !== null).map((m) => ({ ...m, x: x.at(m.row), y: y.at(m.row) }));
  const base = model.studies.length === 1 ? model.baseline(model.studies[0]) : null;
  const shown = complete.length;
  chart(host, {
    height: height || 330, x: axisOf(x), y: axisOf(y), dots, lines, guides, marks,
    base: base && x.at(base) !== null && y.at(base) !== null ? { x: x.at(base), y: y.at(base), row: base } : null,
    alt: `${y.name} against ${x.name} of ${plural(shown, 'trial')}. Arrow keys move between points, Enter selects one.`,
    describe: (item) => describeRow(model, item.row, x, y), pick: (item) => pick(item.row),
  });
};

const better = (dims) => {
  const words = dims.filter((dim) => dim.direction).map((dim) => `${dim.direction === 'max' ? 'high' : 'low'} ${dim.name}`);
  return words.length ? `Better: ${words.join(' and ')}.` : '';
};
