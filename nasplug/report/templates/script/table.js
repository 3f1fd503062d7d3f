// The table of trials: sorted by any column, a page at a time; a click on a row selects its trial.

const columnsOf = (model) => {
  const dims = [...model.of('objective'), ...model.of('cost'), ...model.of('metric').slice(0, 6), ...model.of('hyperparameter').slice(0, 8)];
  for (const key of ['epochs', 'seconds']) { const dim = model.dims.get(key); if (dim && (key !== 'epochs' || dim.varied)) dims.push(dim); }
  return dims;
};

const sortRows = (model, rows, sort) => {
  const down = sort.down ? -1 : 1;
  if (sort.key === 'place') {
    const place = (row) => (row.place === null ? 1e9 + row.number : row.place);
    return [...rows].sort((a, b) => down * (place(a) - place(b)) || a.s - b.s);
  }
  if (sort.key === 'label') return [...rows].sort((a, b) => down * a.label.localeCompare(b.label, 'en', { numeric: true }));
  if (sort.key === 'study') return [...rows].sort((a, b) => down * (a.s - b.s) || a.number - b.number);
  const dim = model.dims.get(sort.key);
  if (!dim) return rows;
  return [...rows].sort((a, b) => {
    const [p, q] = [dim.at(a), dim.at(b)];
    if (p === null || q === null) return (p === null) - (q === null);
    return down * (p - q) || a.number - b.number;
  });
};

const trialTable = (host, { model, state, matched, pick, sort, more }) => {
  const several = model.studies.length > 1;
  const dims = columnsOf(model);
  const rows = sortRows(model, matched, state.sort);
  const shown = rows.slice(0, state.rows);
  const head = (key, name, numeric, title) => {
    const active = state.sort.key === key;
    return el('th', { scope: 'col', class: numeric ? 'n' : null, 'aria-sort': active ? (state.sort.down ? 'descending' : 'ascending') : 'none' },
      el('button', { type: 'button', title, 'data-focus': `sort ${key}`, on: { click: () => sort(key) } }, name,
        el('span', { class: 'arrow', 'aria-hidden': 'true' }, active ? (state.sort.down ? ' ↓' : ' ↑') : ' ↕')));
  };
  const arrow = (dim) => `${dim.name}${dim.direction === 'max' ? ' (higher is better)' : dim.direction === 'min' ? ' (lower is better)' : ''}`;
  const noted = shown.some((row) => row.note);
  const base = model.studies.some((study) => model.baseline(study));
  const header = el('tr', {}, el('th', { scope: 'col' }, el('span', { class: 'hidden' }, 'selected')),
    head('place', 'rank', true, 'by the objectives; feasible trials first'), head('number', 'trial', true, 'number'),
    several ? head('study', 'study', false, 'study') : null, head('label', 'network', false, 'label of the architecture'),
    dims.map((dim) => head(dim.key, shorten(dim.name, 26), !dim.cat, arrow(dim))),
    base ? el('th', { scope: 'col' }, 'against the baseline') : null, noted ? el('th', { scope: 'col' }, 'note') : null);
  const bases = model.studies.map((study) => model.baseline(study)).filter(Boolean);
  const body = [...bases, ...shown].map((row) => {
    const at = state.picked.indexOf(row.key);
    return el('tr', { class: [at >= 0 && 'on', row.base && 'pinned'].filter(Boolean).join(' ') || null, 'data-key': row.key, on: { click: (event) => { if (!event.target.closest('input, label')) pick(row); } } },
      el('td', {}, el('input', { type: 'checkbox', checked: at >= 0, 'data-focus': `row ${row.key}`, css: at >= 0 ? { 'accent-color': PICKS[at] } : {},
        'aria-label': `select ${row.name}: ${brief(row.label, 60)}`, on: { change: () => pick(row) } })),
      el('td', { class: 'n' }, row.place === null ? '–' : String(row.place + 1)),
      el('td', { class: 'n' }, row.base ? '–' : String(row.number)),
      several ? el('td', {}, el('span', { class: 'dot', css: { background: MANY[row.s % MANY.length] } }), row.study.name) : null,
      el('td', { class: 'name', title: row.label }, row.front ? el('span', { class: 'star', title: 'Pareto front' }, '★ ') : null, brief(row.label, 64),
        row.state === 'complete' ? null : el('span', { class: 'kind' }, row.state), row.base ? el('span', { class: 'kind base' }, 'baseline') : null),
      dims.map((dim) => el('td', { class: dim.cat ? null : 'n' }, dim.text(row))),
      base ? el('td', {}, against(model, row).join(', ')) : null,
      noted ? el('td', { class: 'wide' }, shorten(row.note, 120)) : null);
  });
  host.replaceChildren(el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Table of trials' },
    el('table', { class: 'trials' }, el('thead', {}, header), el('tbody', {}, body))),
  el('p', { class: 'note' }, rows.length ? `${shown.length.toLocaleString('en-US')} of ${plural(rows.length, 'row')} ` : 'No trial matches. ',
    shown.length < rows.length ? el('button', { type: 'button', 'data-focus': 'more', on: { click: more } }, 'Show 50 more') : null));
};
