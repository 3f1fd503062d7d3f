// The studies as rows and dimensions: a row is one trial, a dimension is anything one can plot, sort or filter by.

const STATES = ['complete', 'pruned', 'failed'];
const MANY = ['var(--c1)', 'var(--c2)', 'var(--c5)', 'var(--c4)', 'var(--c6)', 'var(--c8)', 'var(--c3)', 'var(--c7)'];
const PICKS = ['var(--c4)', 'var(--c2)', 'var(--c5)', 'var(--c8)', 'var(--c6)', 'var(--c7)'];
const USUAL = ['params', 'macs', 'latency_s', 'energy_j'];
const last = (name) => name.split('/').pop();

const readModel = (data) => {
  const studies = data.studies;
  const rows = [];
  const bases = [];
  const rowOf = (study, s, id, i) => ({
    key: `${s}:${id}`, s, i, study, number: id, base: i === study.baseline, name: i === study.baseline ? 'baseline' : `trial ${id}`, state: STATES[study.state[i]], label: study.label[i],
    ok: study.ok[i] === 1, front: study.front[i] === 1, place: study.place[i], note: study.note[i],
    words: `${id} ${study.label[i]} ${STATES[study.state[i]]} ${study.note[i]} ${study.name}`.toLowerCase(),
  });
  studies.forEach((study, s) => study.number.forEach((id, i) => {
    const row = rowOf(study, s, id, i);
    if (row.base) bases[s] = row; else rows.push(row);
  }));
  const model = { studies, rows, byKey: new Map([...rows, ...bases.filter(Boolean)].map((row) => [row.key, row])), dims: new Map(), objectives: [] };
  model.bases = bases.filter(Boolean);
  model.baseline = (study) => bases[studies.indexOf(study)] || null;
  for (const study of studies) {
    for (const [name, direction] of study.objectives) {
      if (!model.objectives.some((o) => o.name === name)) model.objectives.push({ name, direction });
    }
  }
  const directions = new Map(model.objectives.map((o) => [o.name, o.direction]));
  const costs = new Set(studies.flatMap((study) => study.costs));
  const add = (key, name, group, columns, more = {}) => {
    const get = (row) => { const column = columns[row.s]; return column ? column[row.i] : null; };
    const seen = rows.map(get).filter((value) => value !== null && value !== undefined);
    if (!seen.length) return;
    const dim = { key, name, group, direction: null, cat: false, ...more };
    if (more.options || !seen.every((value) => typeof value === 'number')) {
      dim.cat = true;
      dim.options = more.options || [...new Set(seen.map(String))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
      if (dim.options.length > 60) return;
      const at = new Map(dim.options.map((option, index) => [option, index]));
      dim.at = more.options ? (row) => get(row) ?? null
        : (row) => { const value = get(row); return value === null || value === undefined ? null : at.get(String(value)); };
      dim.text = (row) => { const value = dim.at(row); return value === null ? '–' : dim.options[value]; };
      dim.varied = new Set(seen).size > 1;
    } else {
      dim.at = (row) => get(row) ?? null;
      dim.text = (row) => (more.write || number)(dim.at(row));
      dim.varied = seen.some((value) => value !== seen[0]);
    }
    model.dims.set(key, dim);
  };
  const names = (part) => [...new Set(studies.flatMap((study) => Object.keys(study[part])))];
  for (const name of names('values')) {
    const group = directions.has(name) ? 'objective' : costs.has(name) || USUAL.includes(last(name)) ? 'cost' : 'metric';
    const direction = directions.get(name) || (group === 'cost' ? 'min' : null);
    add(`value:${name}`, name, group, studies.map((study) => study.values[name]), { direction });
  }
  for (const name of names('hyper')) add(`hyper:${name}`, name, 'hyperparameter', studies.map((study) => study.hyper[name]));
  for (const name of [...new Set(studies.flatMap((study) => study.choices.map((choice) => choice.name)))]) {
    const found = studies.map((study) => study.choices.find((choice) => choice.name === name));
    const listed = found.filter((choice) => choice && choice.options);
    if (!listed.length) add(`choice:${name}`, name, 'choice', found.map((choice) => choice && choice.at));
    else {
      const options = [...new Set(listed.flatMap((choice) => choice.options))];
      const columns = found.map((choice) => choice && choice.at.map((at) => {
        if (at === null) return null;
        const place = options.indexOf(choice.options ? choice.options[at] : String(at));
        return place < 0 ? null : place;
      }));
      add(`choice:${name}`, name, 'choice', columns, { options });
    }
  }
  add('number', 'trial', 'trial', studies.map((study) => study.number), { whole: true });
  add('seconds', 'time', 'trial', studies.map((study) => study.seconds), { write: duration });
  add('epochs', 'epochs', 'trial', studies.map((study) => study.epochs), { whole: true });
  model.main = model.objectives.length ? model.dims.get(`value:${model.objectives[0].name}`) || null : null;
  model.of = (group) => [...model.dims.values()].filter((dim) => dim.group === group);
  grade(model);
  return model;
};

/** Fifth of the first objective that a row is in, 4 the best; null without a value. */
const grade = (model) => {
  const main = model.main;
  const sign = main && main.direction === 'min' ? -1 : 1;
  const sorted = main && !main.cat
    ? model.rows.filter((row) => row.ok).map((row) => sign * main.at(row)).sort((a, b) => a - b) : [];
  for (const row of model.rows) {
    const value = main && !main.cat && row.ok ? main.at(row) : null;
    if (value === null) { row.grade = null; continue; }
    let low = 0, high = sorted.length;
    while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] < sign * value) low = middle + 1; else high = middle; }
    row.grade = Math.min(4, Math.floor((5 * low) / sorted.length));
  }
};

/** How a row compares with its study's baseline, in words: "params 12.3x smaller", "val_acc -0.3 points [-1.6, +1.0]". */
const against = (model, row) => (row.study.over && row.study.over[row.i]) || [];
