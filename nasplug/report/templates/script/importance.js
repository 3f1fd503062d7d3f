// Which choices and hyperparameters matter for an objective, and how the objective depends on one of them.

const importanceRows = (model, objective) => {
  const merged = new Map();
  model.studies.forEach((study, s) => {
    const part = study.importance[objective];
    if (part) for (const [key, share] of part.rows) { if (!merged.has(key)) merged.set(key, []); merged.get(key)[s] = share; }
  });
  return [...merged].filter(([key]) => model.dims.has(key)).map(([key, shares]) => ({ dim: model.dims.get(key), shares, most: Math.max(...shares.filter((v) => v !== undefined)) }))
    .sort((a, b) => b.most - a.most);
};

const importanceBars = (host, { model, objective, chosen, choose }) => {
  const rows = importanceRows(model, objective).slice(0, 16);
  const several = model.studies.length > 1;
  host.replaceChildren(...rows.map(({ dim, shares }) => el('button', {
    type: 'button', class: 'bar-row', 'aria-pressed': String(dim === chosen), 'data-key': dim.key, on: { click: () => choose(dim) },
  }, el('span', { class: 'bar-name' }, dim.name, el('small', {}, dim.group)),
  el('span', { class: 'bars' }, model.studies.map((_, s) => (shares[s] === undefined ? null : el('span', { class: 'bar', css: {
    width: `${Math.max(0.6, 100 * shares[s])}%`, background: several ? MANY[s % MANY.length] : 'var(--c1)' } })))),
  el('span', { class: 'bar-value' }, shares.filter((v) => v !== undefined).map((v) => `${Math.round(100 * v)} %`).join(' · ')))));
  return rows.length;
};

/** Medians of `y` per option of `x`, or per eighth of the numbers, as short lines. */
const medians = (points, dim) => {
  const groups = new Map();
  if (dim.cat || new Set(points.map((p) => p.x)).size <= 10) for (const p of points) groups.set(p.x, [...(groups.get(p.x) || []), p]);
  else {
    const sorted = [...points].sort((a, b) => a.x - b.x);
    const size = Math.ceil(sorted.length / 8);
    for (let i = 0; i < sorted.length; i += size) { const part = sorted.slice(i, i + size); groups.set(part[Math.floor(part.length / 2)].x, part); }
  }
  return [...groups].sort((a, b) => a[0] - b[0]).map(([x, part]) => {
    const values = part.map((p) => p.y).sort((a, b) => a - b);
    return [x, values[Math.floor(values.length / 2)]];
  });
};

const effect = (host, { model, matched, dim, objective, pick }) => {
  const y = model.dims.get(`value:${objective}`);
  const points = pointsOf(matched.filter((row) => row.state === 'complete'), dim, y);
  const middle = medians(points, dim);
  chart(host, {
    height: 300, x: axisOf(dim), y: axisOf(y), dots: [{ items: points, colour: 'var(--c1)', size: 5, faint: 0.4 }],
    lines: points.length > 4 ? [{ points: middle, colour: 'var(--c2)', width: 2.4 }] : [],
    alt: `${y.name} by ${dim.name}; the line joins medians`,
    describe: (item) => describeRow(model, item.row, dim, y), pick: (item) => pick(item.row),
  });
};
