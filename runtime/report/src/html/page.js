(() => {
'use strict';
// Draws the maps from the data in the page. Fetches nothing, sends nothing, writes text and never markup.
const $ = id => document.getElementById(id);
let data;
try { data = JSON.parse($('data').textContent); } catch { return; }
if (!data.plans.length) return;

const HUES = ['#56b4e9', '#1fa67f', '#cc79a7', '#3c6ec8'];
const EDGES = ['#2f8fc7', '#009e73', '#b35c8e', '#3c6ec8'];
const VERMILION = '#d55e00';
const GUTTER = 70, BAND = 24, RIGHT = 8, AXIS = 22;
const map = $('map'), live = $('live');
let plan, arena, tensors, members, view, full, held = -1, pointed = -1, hits = null, cursor = null, queued = false;

// ---- words -------------------------------------------------------------------------------------------------------------
const grouped = number => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
function bytes(size) {
  if (size < 1024) return `${size} B`;
  for (let power = 1; ; power++) {
    const value = size / 1024 ** power;
    const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    const text = value.toFixed(digits);
    if (Number(text) < 1024 || power === UNITS.length) return `${text} ${UNITS[power - 1]}`;
  }
}
function nanos(time) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]]) if (time >= size) return `${(time / size).toPrecision(3)} ${unit}`;
  return `${time} ns`;
}
const text = at => data.strings[at] || '';
const opName = op => {
  const parts = [text(plan.ops.source[op]), plan.ops.node[op] || plan.ops.name[op]].filter(Boolean);
  return `op ${op}${parts.length ? ` · ${parts.join(' ')}` : ''}`;
};
const tensorName = at => tensors.name[at] || `tensor ${at}`;

// ---- choosing ----------------------------------------------------------------------------------------------------------
function option(select, value, label) {
  const item = document.createElement('option');
  item.value = value;
  item.textContent = label;
  select.append(item);
}
function choosePlan(number) {
  plan = data.plans[number];
  tensors = plan.tensors;
  $('arena').replaceChildren();
  plan.arenas.forEach((one, at) => { if (one.size > 0) option($('arena'), at, `${one.name || `arena ${at}`} · ${bytes(one.size)}`); });
  $('arena').value = plan.first;
  $('solid').textContent = plan.alone ? 'planned' : 'bound as planned';
  chooseArena(plan.first);
}
function chooseArena(number) {
  arena = plan.arenas[number];
  members = [];
  for (let at = 0; at < tensors.arena.length; at++) {
    if (tensors.arena[at] === number && tensors.from[at] < tensors.to[at] && tensors.size[at] > 0) members.push(at);
  }
  members.sort((a, b) => tensors.from[a] - tensors.from[b] || tensors.offset[a] - tensors.offset[b] || a - b);
  full = { left: 0, right: Math.max(1, plan.ops.count), low: 0, high: Math.max(1, arena.size) };
  view = { ...full };
  held = pointed = -1;
  const left = data.left_out ? ` · ${grouped(data.left_out)} more plans are not in this page: it would be too large` : '';
  const whose = data.plans.length > 1 ? `${plan.words} · ` : '';
  $('words').textContent = `${whose}${arena.name} ${bytes(arena.size)}${arena.words.startsWith('=') ? ' ' : ' · '}${arena.words} · ${grouped(members.length)} tensors here${left}`;
  map.setAttribute('aria-label', `Map of memory: ${arena.name}, ${bytes(arena.size)}, ${members.length} tensors, offset against op`);
  find();
  inspect();
  draw();
}

// ---- geometry ----------------------------------------------------------------------------------------------------------
function size(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height, ratio };
}
const plot = () => ({ x: GUTTER, y: BAND, w: Math.max(10, map.clientWidth - GUTTER - RIGHT), h: Math.max(10, map.clientHeight - BAND - AXIS) });
const xOf = (op, at) => at.x + (op - view.left) / (view.right - view.left) * at.w;
const yOf = (byte, at) => at.y + at.h - (byte - view.low) / (view.high - view.low) * at.h;
const opAt = (x, at) => view.left + (x - at.x) / at.w * (view.right - view.left);
const byteAt = (y, at) => view.low + (at.y + at.h - y) / at.h * (view.high - view.low);

function clamp() {
  for (const [from, to, least] of [['left', 'right', 1], ['low', 'high', 1]]) {
    let length = Math.min(Math.max(view[to] - view[from], least), full[to] - full[from]);
    let start = Math.min(Math.max(view[from], full[from]), full[to] - length);
    view[from] = start;
    view[to] = start + length;
  }
}
function zoom(factor, x, y, ops = true, offsets = true) {
  const at = plot();
  const op = opAt(x, at), byte = byteAt(y, at);
  if (ops) { view.left = op - (op - view.left) * factor; view.right = op + (view.right - op) * factor; }
  if (offsets) { view.low = byte - (byte - view.low) * factor; view.high = byte + (view.high - byte) * factor; }
  clamp();
  draw();
}
function pan(ops, offsets) {
  const width = view.right - view.left, height = view.high - view.low;
  view.left += ops * width; view.right += ops * width;
  view.low += offsets * height; view.high += offsets * height;
  clamp();
  draw();
}
function zoomTo(at) {
  const ops = Math.max(2, (tensors.to[at] - tensors.from[at]) * 2), span = Math.max(16, tensors.size[at] * 3);
  const op = (tensors.from[at] + tensors.to[at]) / 2, byte = tensors.offset[at] + tensors.size[at] / 2;
  view = { left: op - ops / 2, right: op + ops / 2, low: byte - span / 2, high: byte + span / 2 };
  clamp();
  draw();
}

// ---- drawing -----------------------------------------------------------------------------------------------------------
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const MONO = '11px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const SANS = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
function hatched(context) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d');
  pen.fillStyle = style('--alarm-back');
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = VERMILION;
  pen.lineWidth = 2.5;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) { pen.moveTo(shift, 8); pen.lineTo(shift + 8, 0); }
  pen.stroke();
  return context.createPattern(tile, 'repeat');
}
function draw() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => { queued = false; drawMap(); drawLive(); });
}
function steps(from, to, most, binary) {
  let step = 1;
  const least = (to - from) / most;
  if (binary) while (step < least) step *= 2;
  else for (const digits of [2, 2.5, 2]) for (let round = 0; round < 20 && step < least; round++) step *= [2, 2.5, 2][round % 3];
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to && found.length < 64; at += step) found.push(Math.round(at));
  return found;
}
function box(ops, places, at) {
  const x = xOf(Math.max(ops[0], view.left), at), y = yOf(Math.min(places[1], view.high), at);
  return [x, y, Math.max(0.75, xOf(Math.min(ops[1], view.right), at) - x), Math.max(0.75, yOf(Math.max(places[0], view.low), at) - y)];
}
const within = (from, to, low, high) => from < view.right && to > view.left && low < view.high && high > view.low;
function drawMap() {
  const { context, width, height } = size(map);
  const at = plot(), ink = style('--ink'), faint = style('--faint'), back = style('--back');
  context.fillStyle = back;
  context.fillRect(0, 0, width, height);
  context.fillStyle = style('--plot');
  context.fillRect(at.x, at.y, at.w, at.h);
  context.font = SANS;
  context.strokeStyle = style('--line');
  context.lineWidth = 1;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  for (const byte of steps(view.low, view.high, Math.max(2, at.h / 48), true)) {
    const y = Math.round(yOf(byte, at)) + 0.5;
    context.beginPath(); context.moveTo(at.x, y); context.lineTo(at.x + at.w, y); context.stroke();
    context.fillStyle = faint;
    context.fillText(bytes(byte), at.x - 7, y);
  }
  context.textAlign = 'center';
  for (const op of steps(view.left, view.right, Math.max(2, at.w / 80), false)) {
    const x = xOf(op, at);
    context.beginPath(); context.moveTo(x, at.y + at.h); context.lineTo(x, at.y + at.h + 4); context.stroke();
    context.fillText(grouped(op), x, at.y + at.h + 13);
  }
  context.textAlign = 'right';
  context.fillText('op', at.x - 7, at.y + at.h + 13);
  context.save();
  context.beginPath();
  context.rect(at.x, at.y, at.w, at.h);
  context.clip();
  drawTensors(context, at, back);
  drawDeviants(context, at);
  drawLines(context, at, ink);
  for (const [tensor, colour] of [[pointed, ink], [held, style('--gold')]]) if (tensor >= 0) outline(context, at, tensor, colour);
  context.restore();
  context.strokeStyle = style('--edge');
  context.strokeRect(at.x + 0.5, at.y + 0.5, at.w - 1, at.h - 1);
  drawLabels(context, at, ink);
}
function drawTensors(context, at, back) {
  const names = [];
  let drawn = 0;
  for (const tensor of members) {
    const from = tensors.from[tensor], to = tensors.to[tensor], low = tensors.offset[tensor], high = low + tensors.size[tensor];
    if (!within(from, to, low, high)) continue;
    drawn++;
    const hue = tensors.hue[tensor] % HUES.length;
    const place = box([from, to], [low, high], at);
    const seen = tensors.seen[tensor];
    const solid = plan.alone || (seen[0] === from && seen[1] === to && seen[2] === low && seen[3] === high);
    context.globalAlpha = hits && !hits.has(tensor) ? 0.22 : 1;
    const alpha = context.globalAlpha;
    if (!solid) {
      context.globalAlpha = alpha * 0.22;
      context.fillStyle = HUES[hue];
      context.fillRect(...place);
      context.globalAlpha = alpha;
      if (place[2] > 4 && place[3] > 4) {
        context.setLineDash([3, 2]);
        context.strokeStyle = EDGES[hue];
        context.strokeRect(place[0] + 0.5, place[1] + 0.5, place[2] - 1, place[3] - 1);
        context.setLineDash([]);
      }
    }
    const part = solid ? place : seen[1] > seen[0] && within(...seen) ? box([seen[0], seen[1]], [seen[2], seen[3]], at) : null;
    if (part) {
      context.fillStyle = HUES[hue];
      context.fillRect(...part);
      if (part[2] > 3 && part[3] > 3) {
        context.strokeStyle = back;
        context.strokeRect(part[0], part[1], part[2], part[3]);
      }
    }
    if (place[2] > 20 && place[3] > 13) names.push([tensor, place, solid || (part && part[2] > place[2] / 2), hue]);
  }
  context.globalAlpha = 1;
  context.font = MONO;
  context.textAlign = 'center';
  names.sort((a, b) => b[1][2] * b[1][3] - a[1][2] * a[1][3]);
  for (const [tensor, place, solid, hue] of names.slice(0, 400)) {
    const room = Math.floor((place[2] - 8) / 6.65);
    const whole = tensorName(tensor), last = whole.slice(whole.lastIndexOf('/') + 1) || whole;
    const name = whole.length <= room ? whole : last.length <= room ? last : room >= 5 ? `${last.slice(0, room - 1)}…` : '';
    context.fillStyle = solid ? (hue === 3 ? '#fff' : '#0b0d10') : style('--ink');
    if (name && !(hits && !hits.has(tensor))) context.fillText(name, place[0] + place[2] / 2, place[1] + place[3] / 2);
  }
  map.dataset.drawn = drawn;
}
function drawDeviants(context, at) {
  if (!arena.deviants.length) return;
  const pattern = hatched(context);
  for (const [, from, to, low, high] of arena.deviants) {
    if (!within(from, to, low, high)) continue;
    const [x, y, w, h] = box([from, to], [low, high], at);
    context.fillStyle = pattern;
    context.fillRect(x, y, w, h);
    context.strokeStyle = VERMILION;
    context.lineWidth = 2;
    context.strokeRect(x, y, w, h);
    context.beginPath();
    const cx = x + w / 2, cy = y + h / 2;
    context.moveTo(cx - 6, cy - 6); context.lineTo(cx + 6, cy + 6); context.moveTo(cx + 6, cy - 6); context.lineTo(cx - 6, cy + 6);
    context.lineWidth = 6; context.strokeStyle = style('--back'); context.stroke();
    context.lineWidth = 2.5; context.strokeStyle = VERMILION; context.stroke();
    context.lineWidth = 1;
  }
}
function drawLines(context, at, ink) {
  context.strokeStyle = ink;
  if (arena.bound > 0 && arena.bound < arena.size) {
    const y = yOf(arena.bound, at);
    context.setLineDash([7, 4]);
    context.lineWidth = 1.5;
    context.beginPath(); context.moveTo(at.x, y); context.lineTo(at.x + at.w, y); context.stroke();
  }
  context.lineWidth = 1;
  if (arena.peak !== null) {
    const x = xOf(arena.peak + 0.5, at);
    context.setLineDash([2, 3]);
    context.beginPath(); context.moveTo(x, at.y); context.lineTo(x, at.y + at.h); context.stroke();
  }
  context.setLineDash([]);
  if (plan.reached !== null && !plan.alone) {
    const x = xOf(plan.reached, at);
    context.lineWidth = 2;
    context.beginPath(); context.moveTo(x, at.y); context.lineTo(x, at.y + at.h); context.stroke();
    context.lineWidth = 1;
  }
  if (cursor) {
    context.globalAlpha = 0.5;
    context.beginPath();
    context.moveTo(cursor.x, at.y); context.lineTo(cursor.x, at.y + at.h); context.moveTo(at.x, cursor.y); context.lineTo(at.x + at.w, cursor.y);
    context.stroke();
    context.globalAlpha = 1;
  }
}
function drawLabels(context, at, ink) {
  context.font = SANS;
  context.fillStyle = ink;
  const label = (x, words) => {
    const half = context.measureText(words).width / 2;
    context.textAlign = 'center';
    context.fillText(words, Math.min(Math.max(x, at.x + half), at.x + at.w - half), at.y - 11);
  };
  if (cursor) return label(cursor.x, `op ${Math.floor(opAt(cursor.x, at))} · byte ${grouped(Math.floor(byteAt(cursor.y, at)))} (${bytes(Math.floor(byteAt(cursor.y, at)))})`);
  if (plan.reached !== null && !plan.alone && plan.reached >= view.left && plan.reached <= view.right) return label(xOf(plan.reached, at), `playhead: ${grouped(plan.reached)} of ${grouped(plan.ops.count)} ops reached`);
  if (arena.peak !== null && arena.peak >= view.left && arena.peak < view.right) label(xOf(arena.peak + 0.5, at), `peak ${bytes(arena.peak_live)} at op ${arena.peak}`);
}
function outline(context, at, tensor, colour) {
  if (tensors.from[tensor] >= tensors.to[tensor]) return;
  const low = tensors.offset[tensor];
  const place = box([tensors.from[tensor], tensors.to[tensor]], [low, low + tensors.size[tensor]], at);
  context.lineWidth = 3;
  context.strokeStyle = colour;
  context.strokeRect(place[0] + 1, place[1] + 1, Math.max(1, place[2] - 2), Math.max(1, place[3] - 2));
  context.lineWidth = 1;
}
function drawLive() {
  const { context, width, height } = size(live);
  const at = { x: GUTTER, y: 4, w: Math.max(10, width - GUTTER - RIGHT), h: height - 8 };
  const most = Math.max(arena.size, arena.peak_live, 1);
  context.fillStyle = style('--back');
  context.fillRect(0, 0, width, height);
  context.fillStyle = style('--plot');
  context.fillRect(at.x, at.y, at.w, at.h);
  context.font = SANS;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  context.fillStyle = style('--faint');
  context.fillText('live', at.x - 7, at.y + at.h / 2 - 8);
  context.fillText('bytes', at.x - 7, at.y + at.h / 2 + 7);
  context.save();
  context.beginPath();
  context.rect(at.x, at.y, at.w, at.h);
  context.clip();
  const y = value => at.y + at.h - value / most * at.h;
  const first = Math.max(0, Math.floor(view.left / arena.step)), last = Math.min(arena.live.length, Math.ceil(view.right / arena.step));
  context.beginPath();
  context.moveTo(xOf(first * arena.step, at), at.y + at.h);
  for (let index = first; index < last; index++) {
    context.lineTo(xOf(index * arena.step, at), y(arena.live[index]));
    context.lineTo(xOf(Math.min((index + 1) * arena.step, plan.ops.count), at), y(arena.live[index]));
  }
  context.lineTo(xOf(Math.min(last * arena.step, plan.ops.count), at), at.y + at.h);
  context.globalAlpha = 0.35;
  context.fillStyle = HUES[0];
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = EDGES[0];
  context.stroke();
  if (arena.bound > 0) {
    context.strokeStyle = style('--ink');
    context.setLineDash([7, 4]);
    context.beginPath(); context.moveTo(at.x, y(arena.bound)); context.lineTo(at.x + at.w, y(arena.bound)); context.stroke();
    context.setLineDash([]);
  }
  if (cursor) {
    const op = Math.floor(opAt(cursor.x, at)), value = arena.live[Math.floor(op / arena.step)];
    context.fillStyle = style('--ink');
    context.textAlign = cursor.x > at.x + at.w / 2 ? 'right' : 'left';
    if (value !== undefined) context.fillText(`${bytes(value)} live at op ${op}`, cursor.x + (cursor.x > at.x + at.w / 2 ? -8 : 8), at.y + 12);
  }
  context.restore();
  context.strokeStyle = style('--edge');
  context.strokeRect(at.x + 0.5, at.y + 0.5, at.w - 1, at.h - 1);
  live.setAttribute('aria-label', `Bytes that live at each op: at most ${bytes(arena.peak_live)}${arena.peak === null ? '' : ` at op ${arena.peak}`}`);
}

// ---- inspector, list, search -------------------------------------------------------------------------------------------
function row(list, name, value, className) {
  if (name) {
    const term = document.createElement('dt');
    term.textContent = name;
    list.append(term);
  }
  const words = document.createElement('dd');
  words.textContent = value;
  if (className) words.className = className;
  list.append(words);
}
// The last op of a half-open range is told, as everywhere.
function opsWords(first, end) {
  return end - 1 > first ? `ops ${grouped(first)} to ${grouped(end - 1)}` : `op ${grouped(first)}`;
}
function inspect() {
  const at = held >= 0 ? held : pointed, list = $('inspector');
  $('what').textContent = held >= 0 ? 'Tensor (held)' : 'Tensor';
  list.replaceChildren();
  if (at < 0) return row(list, 'Point at the map', 'or search for a name');
  row(list, '', tensorName(at), 'name');
  row(list, 'shape', text(tensors.shape[at]) || '–');
  row(list, 'what', text(tensors.kind[at]));
  row(list, 'size', `${bytes(tensors.size[at])} (${grouped(tensors.size[at])} bytes)`);
  row(list, 'offset', `${grouped(tensors.offset[at])} (${bytes(tensors.offset[at])})`);
  row(list, 'life', `${opsWords(tensors.first[at], tensors.last[at])} (${grouped(tensors.last[at] - tensors.first[at])})`);
  const op = tensors.op[at];
  row(list, 'written by', op < 0 ? 'no op: it comes from outside' : opName(op));
  if (op >= 0 && text(plan.ops.kernel[op])) row(list, 'kernel', text(plan.ops.kernel[op]));
  if (op >= 0 && plan.ops.mean.length && plan.ops.mean[op] !== null) row(list, 'op time', nanos(plan.ops.mean[op]));
  if (tensors.before[at] >= 0) row(list, 'in place of', tensorName(tensors.before[at]));
  if (tensors.view_of[at] >= 0) row(list, 'view of', tensorName(tensors.view_of[at]));
  const seen = tensors.seen[at];
  if (!plan.alone) row(list, 'seen', seen[1] > seen[0] ? `${opsWords(seen[0], seen[1])}, bytes ${grouped(seen[2])}..${grouped(seen[3])}` : 'not bound as planned, or not reached');
  if (arena.deviants.some(place => place[0] === at)) row(list, 'ALARM', 'not as planned');
  for (const button of $('list').querySelectorAll('button')) button.setAttribute('aria-current', String(Number(button.dataset.tensor) === at));
}
function show(at) {
  held = at;
  const its = tensors.arena[at];
  if (plan.arenas[its] !== arena && plan.arenas[its].size > 0) {
    const before = $('search').value;
    $('arena').value = its;
    $('search').value = before;
    chooseArena(its);
    held = at;
  }
  inspect();
  draw();
}
function fill(title, entries, all) {
  $('list-title').textContent = title;
  $('list').replaceChildren(...entries.map(at => {
    const item = document.createElement('li'), button = document.createElement('button');
    const [left, right] = [document.createElement('span'), document.createElement('span')];
    button.type = 'button';
    button.dataset.tensor = at;
    left.textContent = bytes(tensors.size[at]);
    right.textContent = tensorName(at);
    button.title = tensorName(at);
    button.append(left, right);
    button.addEventListener('click', () => show(at));
    button.addEventListener('dblclick', () => zoomTo(at));
    item.append(button);
    return item;
  }));
  if (all > entries.length) {
    const item = document.createElement('li');
    item.className = 'more';
    item.textContent = `… and ${grouped(all - entries.length)} more`;
    $('list').append(item);
  }
}
function find() {
  const wanted = $('search').value.trim().toLowerCase();
  if (!wanted) {
    hits = null;
    $('found').textContent = '';
    fill(arena.peak === null ? 'At the peak' : `${bytes(arena.peak_live)} at the peak, op ${arena.peak}`, arena.at_peak.slice(0, 200), arena.at_peak_count);
    return draw();
  }
  const match = at => tensors.name[at].toLowerCase().includes(wanted) || text(tensors.shape[at]).toLowerCase().includes(wanted) ||
    (tensors.op[at] >= 0 && opName(tensors.op[at]).toLowerCase().includes(wanted));
  const found = [];
  for (let at = 0; at < tensors.name.length; at++) if (match(at)) found.push(at);
  hits = new Set(found);
  $('found').textContent = `${grouped(found.length)} of ${grouped(tensors.name.length)} tensors`;
  found.sort((a, b) => tensors.size[b] - tensors.size[a] || a - b);
  fill('Found', found.slice(0, 200), found.length);
  draw();
}
function under(x, y) {
  const at = plot();
  if (x < at.x || x > at.x + at.w || y < at.y || y > at.y + at.h) return -1;
  const op = opAt(x, at), byte = byteAt(y, at);
  for (const [tensor, from, to, low, high] of arena.deviants) if (tensor >= 0 && from <= op && op < to && low <= byte && byte < high) return tensor;
  for (const tensor of members) {
    if (tensors.from[tensor] > op) break;
    if (op < tensors.to[tensor] && tensors.offset[tensor] <= byte && byte < tensors.offset[tensor] + tensors.size[tensor]) return tensor;
  }
  return -1;
}
function step(by) {
  if (!members.length) return;
  const now = members.indexOf(held >= 0 ? held : pointed);
  held = members[now < 0 ? (by > 0 ? 0 : members.length - 1) : (now + by + members.length) % members.length];
  inspect();
  draw();
}

// ---- hands -------------------------------------------------------------------------------------------------------------
const fingers = new Map();
let moved = 0, spread = 0;
map.addEventListener('pointerdown', event => {
  map.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
  moved = 0;
  spread = 0;
});
map.addEventListener('pointermove', event => {
  const last = fingers.get(event.pointerId), x = event.offsetX, y = event.offsetY, at = plot();
  cursor = x >= at.x && x <= at.x + at.w && y >= at.y && y <= at.y + at.h ? { x, y } : null;
  if (last && fingers.size === 1) {
    moved += Math.abs(x - last.x) + Math.abs(y - last.y);
    map.classList.add('drag');
    pan((last.x - x) / at.w, (y - last.y) / at.h);
  }
  if (last) fingers.set(event.pointerId, { x, y });
  if (fingers.size === 2) {
    const [a, b] = [...fingers.values()], distance = Math.hypot(a.x - b.x, a.y - b.y);
    if (spread > 0 && distance > 0) zoom(spread / distance, (a.x + b.x) / 2, (a.y + b.y) / 2);
    spread = distance;
    moved = 99;
  }
  const now = fingers.size ? pointed : under(x, y);
  if (now !== pointed) { pointed = now; inspect(); }
  draw();
});
for (const name of ['pointerup', 'pointercancel']) map.addEventListener(name, event => {
  const was = fingers.delete(event.pointerId);
  map.classList.remove('drag');
  if (was && name === 'pointerup' && moved < 4) {
    const at = under(event.offsetX, event.offsetY);
    held = at === held ? -1 : at;
    inspect();
    draw();
  }
});
map.addEventListener('pointerleave', () => { cursor = null; pointed = -1; inspect(); draw(); });
map.addEventListener('dblclick', event => zoom(0.5, event.offsetX, event.offsetY));
map.addEventListener('wheel', event => {
  event.preventDefault();
  const turn = event.deltaY || event.deltaX;
  zoom(Math.exp(Math.max(-1, Math.min(1, turn / 300))), event.offsetX, event.offsetY, !event.altKey, !event.shiftKey);
}, { passive: false });
const middle = () => { const at = plot(); return [at.x + at.w / 2, at.y + at.h / 2]; };
const fit = () => { view = { ...full }; draw(); };
const KEYS = {
  ArrowLeft: () => pan(-0.1, 0), ArrowRight: () => pan(0.1, 0), ArrowUp: () => pan(0, 0.1), ArrowDown: () => pan(0, -0.1),
  '+': () => zoom(0.7, ...middle()), '=': () => zoom(0.7, ...middle()), '-': () => zoom(1 / 0.7, ...middle()), '−': () => zoom(1 / 0.7, ...middle()),
  0: fit, ']': () => step(1), '[': () => step(-1), Enter: () => { if (held >= 0) zoomTo(held); }, Escape: () => { held = -1; inspect(); draw(); },
};
map.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.addEventListener('keydown', event => {
  const typing = event.target instanceof Element && event.target.matches('input, select, textarea');
  if (event.key === '/' && !typing) { event.preventDefault(); $('search').focus(); }
});
$('search').addEventListener('keydown', event => {
  if (event.key === 'Escape') { $('search').value = ''; find(); map.focus(); }
  if (event.key === 'Enter') $('list').querySelector('button')?.click();
});
$('search').addEventListener('input', find);
$('plan').addEventListener('change', () => choosePlan(Number($('plan').value)));
$('arena').addEventListener('change', () => chooseArena(Number($('arena').value)));
$('in').addEventListener('click', () => zoom(0.7, ...middle()));
$('out').addEventListener('click', () => zoom(1 / 0.7, ...middle()));
$('fit').addEventListener('click', fit);
window.addEventListener('resize', draw);
dark.addEventListener('change', draw);

data.plans.forEach((one, at) => option($('plan'), at, `${one.number}: ${one.words}`));
$('plan-label').hidden = data.plans.length < 2;
$('explorer').hidden = false;
$('picture').hidden = true;
choosePlan(0);
})();
