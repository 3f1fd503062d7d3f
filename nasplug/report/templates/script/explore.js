// The explorer: one state, one drawing of everything from it.

const app = (() => {
  let model = null;
  const state = { query: '', hidden: new Set(), front: false, ranges: new Map(), picked: [], sort: { key: 'place', down: false },
    rows: 15, x: null, y: null, metric: null, objective: null, effect: null, axes: null };
  const root = document.getElementById('explorer');
  const parts = {};

  const section = (name, title, ...children) => {
    const found = el('section', { id: name, hidden: true }, el('h2', {}, title), ...children);
    parts[name] = found; root.append(found);
    return found;
  };
  const host = (name) => { parts[name] = el('div', { class: 'host', id: `view-${name}` }); return parts[name]; };
  const select = (name, label, change) => {
    parts[name] = el('select', { 'aria-label': label, id: `pick-${name}`, on: { change: (event) => { change(event.target.value); draw(); } } });
    return parts[name];
  };
  const fill = (control, options, value) => {
    const wanted = JSON.stringify(options);
    if (control.dataset.options !== wanted) {
      const groups = new Map();
      for (const [key, name, group] of options) { if (!groups.has(group)) groups.set(group, []); groups.get(group).push(el('option', { value: key }, name)); }
      control.replaceChildren(...[...groups].flatMap(([group, items]) => (groups.size > 1 ? [el('optgroup', { label: group }, items)] : items)));
      control.dataset.options = wanted;
    }
    control.value = value;
  };

  const construct = () => {
    parts.query = el('input', { type: 'search', id: 'query', placeholder: 'Filter: words, or params < 1e6', 'aria-label': 'Filter trials by words, or by bounds such as params < 1e6',
      on: { input: (event) => { state.query = event.target.value; state.rows = 15; draw(); } } });
    parts.states = el('span', { class: 'chips', role: 'group', 'aria-label': 'States' });
    parts.frontOnly = el('input', { type: 'checkbox', id: 'front-only', on: { change: (event) => { state.front = event.target.checked; draw(); } } });
    parts.count = el('span', { class: 'count', 'aria-live': 'polite', id: 'count' });
    parts.ranges = el('span', { class: 'chips', id: 'ranges' });
    parts.reset = el('button', { type: 'button', id: 'reset', on: { click: reset } }, 'Reset');
    section('explore', 'Explore the trials',
      el('div', { class: 'bar-tools' }, parts.query, parts.states, el('label', { class: 'chip' }, parts.frontOnly, ' Pareto front only'), parts.ranges, parts.count, parts.reset),
      parts.rule = el('p', { class: 'note', id: 'rule' }), parts.legend = el('p', { class: 'legend', id: 'legend' }),
      el('div', { class: 'pair' },
        parts.scatterFigure = el('figure', {}, el('div', { class: 'axes' }, select('y', 'Vertical axis', (key) => { state.y = key; }), el('span', {}, 'over'), select('x', 'Horizontal axis', (key) => { state.x = key; })), host('scatter'), parts.better = el('figcaption', {})),
        parts.progressFigure = el('figure', {}, el('div', { class: 'axes' }, el('span', {}, 'Progress of the search')), host('progress'), parts.progressCaption = el('figcaption', {})),
        parts.latencyFigure = el('figure', { hidden: true }, el('div', { class: 'axes' }, parts.latencyTitle = el('span', {})), host('latency'), el('figcaption', {}, 'Latency as it was measured or estimated for each network.')),
        parts.volumeFigure = el('figure', { hidden: true }, el('div', { class: 'axes' }, el('span', {}, 'Hypervolume')), host('volume'), parts.volumeCaption = el('figcaption', {}))));
    section('selected', 'Selected trials', parts.cards = el('div', { class: 'cards' }));
    section('coordinates', 'Parallel coordinates', el('p', { class: 'note' }, 'Drag along an axis to filter, click it to let go. Green lines are the best fifth. Click a line to select its trial.'),
      el('details', {}, el('summary', {}, 'Axes'), parts.axes = el('div', { class: 'chips', id: 'axes' })), el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Parallel coordinates' }, host('parallel')));
    section('curves', 'Learning curves', el('div', { class: 'axes' }, select('metric', 'Metric', (name) => { state.metric = name; })), parts.curveLegend = el('p', { class: 'legend' }), host('curveChart'), parts.curveCaption = el('p', { class: 'note' }));
    section('importance', 'What matters', el('div', { class: 'axes' }, el('span', {}, 'for'), select('objective', 'Objective', (name) => { state.objective = name; })),
      el('div', { class: 'pair' }, el('div', {}, parts.bars = el('div', { class: 'importance' }), parts.importanceNote = el('p', { class: 'note' })), el('figure', {}, host('effect'), el('figcaption', {}, 'The line joins medians. Choose a bar to see its effect.'))));
    section('trials', 'All trials', parts.table = el('div', { id: 'table' }));
    section('notes', 'What the strategy noted', parts.notesHost = el('div', { class: 'small' }), el('p', { class: 'note' }, 'Numbers noted with each proposal, over the trial number; what only counts is left out.'));
    document.body.append(tip);
    let width = root.clientWidth;
    new ResizeObserver(() => { if (Math.abs(root.clientWidth - width) > 4) { width = root.clientWidth; draw(); } }).observe(root);
  };

  const reset = () => {
    Object.assign(state, { query: '', front: false, rows: 15 });
    state.hidden.clear(); state.ranges.clear();
    parts.query.value = ''; parts.frontOnly.checked = false;
    draw();
  };

  const pick = (row) => {
    const at = state.picked.indexOf(row.key);
    if (at >= 0) state.picked.splice(at, 1);
    else { if (state.picked.length === PICKS.length) state.picked.shift(); state.picked.push(row.key); }
    draw();
  };

  /** The filter as a function; bounds such as `params < 1e6` name a dimension, everything else is searched for. */
  const test = () => {
    const checks = [];
    let rest = state.query.toLowerCase();
    rest = rest.replace(/([a-z_][\w./:-]*)\s*(<=|>=|<|>|=)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)/g, (all, name, sign, bound) => {
      const dim = [...model.dims.values()].find((d) => d.name.toLowerCase() === name && !d.cat) || [...model.dims.values()].find((d) => last(d.name).toLowerCase() === name && !d.cat);
      const value = Number(bound);
      if (!dim || Number.isNaN(value)) return all;
      const compare = { '<': (v) => v < value, '<=': (v) => v <= value, '>': (v) => v > value, '>=': (v) => v >= value, '=': (v) => v === value }[sign];
      checks.push((row) => { const v = dim.at(row); return v !== null && compare(v); });
      return ' ';
    });
    const words = rest.split(/\s+/).filter(Boolean);
    if (words.length) checks.push((row) => words.every((word) => row.words.includes(word)));
    if (state.hidden.size) checks.push((row) => !state.hidden.has(row.state));
    if (state.front) checks.push((row) => row.front);
    for (const [key, [low, high]] of state.ranges) {
      const dim = model.dims.get(key);
      if (dim) checks.push((row) => { const v = dim.at(row); return v !== null && v >= low && v <= high; });
    }
    return (row) => checks.every((check) => check(row));
  };

  const settle = () => {
    const dims = [...model.dims.values()];
    const main = model.main;
    const plots = dims.filter((dim) => dim.varied || dim.group === 'objective');
    if (!model.dims.has(state.y)) state.y = main ? main.key : (plots[0] || {}).key || null;
    if (!model.dims.has(state.x)) {
      const second = model.objectives.slice(1).map((o) => model.dims.get(`value:${o.name}`)).find(Boolean)
        || model.of('cost').filter((dim) => dim.varied).sort((a, b) => rankOf(a) - rankOf(b))[0] || model.dims.get('number');
      state.x = second ? second.key : null;
    }
    const metrics = curveNames(model);
    const wanted = model.objectives.map((o) => o.name);
    metrics.sort((a, b) => (wanted.includes(b) - wanted.includes(a)));
    if (!metrics.includes(state.metric)) state.metric = metrics[0] || null;
    const objectives = model.objectives.map((o) => o.name).filter((name) => importanceRows(model, name).length);
    if (!objectives.includes(state.objective)) state.objective = objectives[0] || null;
    if (!state.axes || !state.axesChosen) state.axes = usualAxes(model, root.clientWidth < 600 ? 5 : 9);
    state.axes = state.axes.filter((key) => model.dims.has(key));
    state.picked = state.picked.filter((key) => model.byKey.has(key));
    return { dims, plots, metrics, objectives };
  };
  const rankOf = (dim) => { const at = USUAL.indexOf(last(dim.name)); return at < 0 ? USUAL.length : at; };
  const option = (dim) => [dim.key, dim.name, `${dim.group}s`];

  const draw = () => {
    if (!model) return;
    const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.focus : null;
    tip.hidden = true;
    for (const part of ['explore', 'trials']) parts[part].hidden = !model.rows.length;
    if (!model.rows.length) { for (const part of ['selected', 'coordinates', 'curves', 'importance', 'notes']) parts[part].hidden = true; return; }
    const { dims, plots, metrics, objectives } = settle();
    const keep = test();
    const matched = model.rows.filter(keep);
    const common = { model, state, matched, pick };
    tools(matched);
    const [x, y] = [model.dims.get(state.x), model.dims.get(state.y)];
    parts.scatterFigure.hidden = !(x && y);
    const timeline = model.main && !model.main.cat;
    parts.progressFigure.hidden = !timeline;
    const latency = dims.find((dim) => /latency|_ms$/.test(last(dim.name)) && dim.varied && !dim.cat && ![state.x, state.y].includes(dim.key) && dim.group !== 'hyperparameter' && dim.group !== 'choice');
    parts.latencyFigure.hidden = !(latency && model.main);
    const hyper = model.studies.length === 1 ? model.studies[0].volume : null;
    parts.volumeFigure.hidden = !hyper;
    const figures = [parts.scatterFigure, parts.progressFigure, parts.latencyFigure, parts.volumeFigure];
    const seen = figures.filter((figure) => !figure.hidden);
    for (const figure of figures) figure.classList.toggle('alone', seen.length % 2 === 1 && figure === seen[seen.length - 1]);
    if (x && y) {
      fill(parts.x, plots.map(option), state.x); fill(parts.y, plots.map(option), state.y);
      scatter(parts.scatter, { ...common, x, y });
      const bounds = model.studies.flatMap((s) => s.constraints).filter(([name]) => [x.name, y.name].includes(name)).map((c) => c.join(' '));
      parts.better.textContent = `${better([y, x])}${bounds.length ? ` Dashed: ${[...new Set(bounds)].join(', ')}.` : ''}`;
    }
    if (timeline) {
      progress(parts.progress, common);
      const bare = model.rows.some((row) => model.main.at(row) === null);
      parts.progressCaption.textContent = `${model.main.direction === 'max' ? 'Higher' : 'Lower'} is better. The line is the best feasible value so far.${model.studies.length === 1 && model.baseline(model.studies[0]) ? ' Dashed: the baseline.' : ''}${bare ? ' Marks on the axis: trials without a value.' : ''}`;
    }
    if (latency && model.main) { parts.latencyTitle.textContent = `${model.main.name} over ${latency.name}`; scatter(parts.latency, { ...common, x: latency, y: model.main, height: 300 }); }
    if (hyper) {
      volume(parts.volume, model);
      parts.volumeCaption.textContent = `Reference point: the worst feasible value of each objective (${hyper.reference.map(([name, value]) => `${name} = ${number(value)}`).join(', ')}). Comparable inside this study only.`;
    }
    parts.selected.hidden = !state.picked.length;
    cards(parts.cards, common);
    const axes = plots.filter((dim) => dim.varied);
    parts.coordinates.hidden = axes.length < 2;
    if (axes.length > 1) {
      parts.axes.replaceChildren(...axes.map((dim) => el('label', { class: 'chip' }, el('input', { type: 'checkbox', checked: state.axes.includes(dim.key), 'data-focus': `axis ${dim.key}`,
        on: { change: () => { const chosen = new Set(state.axes); if (!chosen.delete(dim.key)) chosen.add(dim.key); state.axesChosen = true; state.axes = axes.filter((d) => chosen.has(d.key)).map((d) => d.key); draw(); } } }), ` ${dim.name}`)));
      parallel(parts.parallel, { ...common, filter: (dim, range) => { if (range) state.ranges.set(dim.key, range); else state.ranges.delete(dim.key); draw(); } });
    }
    parts.curves.hidden = !state.metric;
    if (state.metric) {
      fill(parts.metric, metrics.map((name) => [name, name, '']), state.metric);
      const shown = curves(parts.curveChart, { ...common, name: state.metric });
      const whose = featured(model, state, [...matched]);
      parts.curveLegend.replaceChildren(...shown.map((row) => el('span', { css: { '--hue': PICKS[whose.indexOf(row) % PICKS.length] } }, `${brief(row.label, 48)} · ${row.base ? 'baseline' : row.number}`)));
      const cut = model.studies.some((s) => s.curves.cut);
      parts.curveCaption.textContent = `${state.picked.length ? 'The selected trials in colour.' : 'The best trials in colour; select trials to see theirs.'} Thin grey lines: others that match the filter.${cut ? ' Curves of lesser trials are left out to keep the page small.' : ''}`;
    }
    parts.importance.hidden = !state.objective;
    if (state.objective) {
      fill(parts.objective, objectives.map((name) => [name, name, '']), state.objective);
      const rows = importanceRows(model, state.objective);
      const chosen = rows.some(({ dim }) => dim.key === state.effect) ? model.dims.get(state.effect) : rows[0].dim;
      importanceBars(parts.bars, { model, objective: state.objective, chosen, choose: (dim) => { state.effect = dim.key; draw(); } });
      effect(parts.effect, { ...common, dim: chosen, objective: state.objective });
      const counts = model.studies.map((s) => (s.importance[state.objective] || {}).of).filter(Boolean);
      parts.importanceNote.textContent = `Epsilon squared of the Kruskal-Wallis test: the share of the variance in the ranks of ${state.objective} that one choice alone explains, corrected for chance, from ${counts.map((c) => c.toLocaleString('en-US')).join(' and ')} trials. Interactions are not in it, and a strategy that tried good values more often biases it.`;
    }
    trialTable(parts.table, { ...common, sort: sortBy, more: () => { state.rows += 50; draw(); } });
    parts.notes.hidden = !model.studies.some((s) => Object.keys(s.info).length);
    if (!parts.notes.hidden) notes(parts.notesHost, model);
    if (focus) { const again = [...document.querySelectorAll('[data-focus]')].find((node) => node.dataset.focus === focus); if (again) again.focus({ preventScroll: true }); }
  };

  const sortBy = (key) => {
    const dim = model.dims.get(key);
    const first = Boolean(dim && dim.direction === 'max');
    state.sort = state.sort.key === key ? { key, down: !state.sort.down } : { key, down: first };
    draw();
  };

  const tools = (matched) => {
    const there = STATES.filter((name) => model.rows.some((row) => row.state === name));
    parts.states.replaceChildren(...(there.length > 1 ? there : []).map((name) => el('label', { class: 'chip' },
      el('input', { type: 'checkbox', checked: !state.hidden.has(name), 'data-focus': `state ${name}`, on: { change: (event) => { if (event.target.checked) state.hidden.delete(name); else state.hidden.add(name); draw(); } } }), ` ${name}`)));
    parts.ranges.replaceChildren(...[...state.ranges].filter(([key]) => model.dims.has(key)).map(([key, [low, high]]) => {
      const dim = model.dims.get(key);
      const words = dim.cat ? dim.options.filter((_, i) => i >= low && i <= high).join(', ') || 'none' : `${(dim.write || number)(low)} to ${(dim.write || number)(high)}`;
      return el('button', { type: 'button', class: 'chip', 'aria-label': `remove the filter on ${dim.name}`, on: { click: () => { state.ranges.delete(key); draw(); } } }, `${dim.name}: ${shorten(words, 40)} ×`);
    }));
    parts.count.textContent = `${matched.length.toLocaleString('en-US')} of ${plural(model.rows.length, 'trial')}${model.studies.some((s) => s.rule) ? ' on this page' : ''}`;
    parts.reset.hidden = matched.length === model.rows.length && !state.query;
    parts.rule.textContent = model.studies.map((s) => s.rule).filter(Boolean).join(' ');
    const entry = (colour, words, kind = '') => el('span', { class: kind, css: { '--hue': colour } }, words);
    const has = (check) => model.rows.some(check);
    const hollow = [has((r) => r.state === 'pruned') && 'pruned', has((r) => !r.ok && r.state === 'complete') && 'breaks a constraint'].filter(Boolean).join(', or ');
    parts.legend.replaceChildren(...(model.studies.length > 1
      ? [...model.studies.map((s, i) => entry(MANY[i % MANY.length], s.name, 'full')), entry('var(--muted)', 'large: Pareto front', 'full')]
      : [has((r) => r.front) ? entry('var(--c3)', model.objectives.length > 1 ? 'Pareto front' : 'best', 'full') : null, entry('var(--c1)', 'feasible', 'full'),
        hollow ? entry('var(--muted)', hollow, 'open') : null,
        has((r) => r.state === 'failed') ? entry('var(--c7)', 'failed', 'full') : null]).filter(Boolean));
  };

  return {
    start: (data) => { construct(); model = readModel(data); document.documentElement.classList.add('scripted'); draw(); },
    update: (data) => { model = readModel(data); draw(); },
  };
})();
