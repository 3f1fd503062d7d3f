// What develops: the main objective over trials, hypervolume, learning curves, and numbers that the strategy noted.

const trialAxis = { name: 'trial', whole: true, log: false, tight: true };

const progress = (host, { model, state, matched, pick }) => {
  const dim = model.main;
  const number_ = model.dims.get('number');
  const several = model.studies.length > 1;
  const inside = new Set(matched);
  const outside = inside.size < model.rows.length ? pointsOf(model.rows.filter((row) => !inside.has(row)), number_, dim) : [];
  const points = pointsOf(matched, number_, dim);
  const dots = [{ items: outside, colour: 'var(--muted)', size: 4, faint: 0.18 }];
  model.studies.forEach((study, s) => {
    const own = several ? points.filter((p) => p.row.s === s) : points;
    const size = own.length > 1500 ? 3.4 : 5.5;
    dots.push({ items: own.filter((p) => !p.row.ok), colour: 'var(--muted)', size, hollow: true, faint: 0.8 },
      { items: own.filter((p) => p.row.ok), colour: several ? MANY[s % MANY.length] : 'var(--c1)', size, faint: several ? 0.3 : 0.45 });
  });
  const lines = model.studies.map((study, s) => {
    const best = study.best.filter(([, value]) => value !== null);
    return { points: best.length ? [...best, [study.last, best[best.length - 1][1]]] : [], step: 'post', width: 2,
      colour: several ? MANY[s % MANY.length] : 'var(--c3)' };
  }).filter((line) => line.points.length);
  const bare = matched.filter((row) => dim.at(row) === null).slice(-1500);
  const marks = state.picked.map((key, index) => ({ row: model.byKey.get(key), index }))
    .filter(({ row }) => row && !row.base && dim.at(row) !== null).map((m) => ({ ...m, x: m.row.number, y: dim.at(m.row) }));
  const base = several ? null : model.baseline(model.studies[0]);
  chart(host, {
    height: 300, x: trialAxis, y: axisOf(dim), dots, lines, marks,
    rug: bare.map((row) => ({ x: row.number, row, colour: row.state === 'failed' ? 'var(--c7)' : 'var(--muted)' })),
    guides: base && dim.at(base) !== null ? [{ axis: 'y', at: dim.at(base), keep: true }] : [],
    alt: `${dim.name} of every trial over its number, with the best so far. Arrow keys move between points, Enter selects one.`,
    describe: (item) => describeRow(model, item.row, dim), pick: (item) => pick(item.row),
  });
};

const volume = (host, model) => {
  const studies = model.studies.filter((study) => study.volume);
  const lines = studies.map((study) => {
    const points = study.volume.points;
    return { points: [...points, [study.last, points[points.length - 1][1]]], step: 'post', width: 2, colour: 'var(--c3)' };
  });
  chart(host, {
    height: 300, x: trialAxis, y: { name: 'hypervolume', log: false, zero: true }, lines,
    dots: [{ items: studies.flatMap((study) => study.volume.points.map(([x, y]) => ({ x, y }))), colour: 'var(--c3)', size: 5 }],
    alt: 'Hypervolume over trials', describe: (item) => [`hypervolume ${number(item.y)}`, `since trial ${item.x}`],
  });
};

const curveNames = (model) => [...new Set(model.studies.flatMap((study) => study.curves.metrics))];
const curveOf = (row, name) => {
  const { metrics, of } = row.study.curves;
  const lines = of[row.number];
  const line = lines && lines[metrics.indexOf(name)];
  return line ? line[0].map((step, i) => [step, line[1][i]]) : null;
};

/** Rows whose curves are drawn in colour: the selected ones, or else the best. */
const featured = (model, state, matched) => {
  const picked = state.picked.map((key) => model.byKey.get(key)).filter(Boolean);
  if (picked.length) return picked;
  const trained = matched.filter((row) => row.place !== null && row.study.curves.of[row.number]);
  return trained.sort((a, b) => a.place - b.place || a.s - b.s).slice(0, 5);
};

const curves = (host, { model, state, matched, name, pick }) => {
  const shown = featured(model, state, [...matched]);
  const chosen = new Set(shown);
  const others = matched.filter((row) => !chosen.has(row) && row.study.curves.of[row.number]);
  const stride = Math.max(1, Math.ceil(others.length / 150));
  const lines = [];
  others.filter((_, i) => i % stride === 0).forEach((row) => {
    const points = curveOf(row, name);
    if (points) lines.push({ points, colour: 'var(--muted)', width: 0.8, faint: true });
  });
  const dots = [];
  shown.forEach((row, index) => {
    const points = curveOf(row, name);
    if (!points) return;
    lines.push({ points, colour: PICKS[index % PICKS.length], width: 2 });
    dots.push({ items: points.map(([x, y]) => ({ x, y, row })), colour: PICKS[index % PICKS.length], size: 5 });
  });
  chart(host, {
    height: 300, x: { name: 'step', whole: true, log: false }, y: { name, log: false }, lines, dots,
    alt: `Learning curves: ${name} of ${plural(shown.length, 'trial')}`,
    describe: (item) => [shorten(item.row.label, 110), `${item.row.name}, step ${item.x}`, `${name}: ${number(item.y)}`],
    pick: (item) => pick(item.row),
  });
  return shown.filter((row) => curveOf(row, name));
};

const notes = (host, model) => {
  const several = model.studies.length > 1;
  const panels = model.studies.flatMap((study, s) => Object.entries(study.info).slice(0, 12)
    .map(([name, points]) => ({ study, s, name, points: points.filter(([, value]) => value !== null) })));
  host.replaceChildren(...panels.map(() => el('div', { class: 'host' })));
  panels.forEach(({ study, s, name, points }, index) => chart(host.children[index], {
    height: 190, x: trialAxis, y: { name: several ? `${study.name}: ${name}` : name, log: false },
    lines: [{ points, colour: several ? MANY[s % MANY.length] : 'var(--c5)', width: 1 }],
    dots: [{ items: points.map(([x, y]) => ({ x, y })), colour: several ? MANY[s % MANY.length] : 'var(--c5)', size: 3.4 }],
    alt: `${name} over trials, noted by the strategy`, describe: (item) => [`${name}: ${number(item.y)}`, `trial ${item.x}`],
  }));
};
