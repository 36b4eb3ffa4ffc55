% rebase("layout", title="Files")
% if found.has_errors:
<p class="advice" role="alert">The files have errors. Until they are corrected, nothing of them is taken: those from before stay in use.</p>
% end
% for problem in found.problems:
<p class="finding"><span class="state {{"bad" if problem.is_error else "degraded"}}">{{"error" if problem.is_error else "warning"}}</span> {{show_words(problem)}}</p>
% end
% for file in found.files:
<section class="file">
<h2><bdi>{{file.shown.title}}</bdi> <span class="secondary">{{file.name}}.toml</span></h2>
<dl class="facts">
<div><dt>Opened by</dt><dd>\\
% if file.shown.event:
<bdi>“{{file.shown.event}}”</bdi>\\
% else:
any text\\
% end
</dd></div>
<div><dt>On</dt><dd>{{", ".join(file.shown.to) or "every number"}}</dd></div>
% if file.in_use:
<div><dt>In use</dt><dd>version <code>{{file.version}}</code> <span class="secondary">{{file.state}}</span></dd></div>
<div><dt>Open on older versions</dt><dd>{{file.open_elsewhere}}\\
% if file.plan.open:
 <span class="secondary">{{", ".join(f"{key or 'no question'}: {count}" for key, count in file.plan.open.items())}}</span>\\
% end
</dd></div>
% else:
<div><dt>In use</dt><dd>no: it is taken once all files are free of errors</dd></div>
% end
% if file.cost:
<div><dt>Costs</dt><dd>{{file.cost}}</dd></div>
% end
</dl>
% for problem in file.first_problems:
<p class="finding"><span class="state {{"bad" if problem.is_error else "degraded"}}">{{"error" if problem.is_error else "warning"}}</span> <bdi>{{show_words(problem._replace(file=""))}}</bdi></p>
% end
% if file.more_problems:
<details>
<summary>{{len(file.more_problems)}} more</summary>
% for problem in file.more_problems:
<p class="finding"><span class="state {{"bad" if problem.is_error else "degraded"}}">{{"error" if problem.is_error else "warning"}}</span> <bdi>{{show_words(problem._replace(file=""))}}</bdi></p>
% end
</details>
% end
% if not file.problems:
<p class="finding"><span class="state ok">ok</span> <code>check</code> finds nothing.</p>
% end
% for changes, words in ((file.plan.changes, "What new conversations get otherwise than the last one"), (file.not_taken, "What the file on disk says otherwise than what is in use")):
% if changes:
<p class="secondary">{{words}}:</p>
<ul class="changes">
% for change in changes:
<li><strong>{{change.key}}</strong> {{change.what}}\\
% if change.detail:
: <bdi>{{show_words(change.detail)}}</bdi>\\
% end
</li>
% end
</ul>
% end
% end
% if file.texts:
<details>
<summary>What it sends, at its longest ({{len(file.texts)}})</summary>
<table role="table">
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Text</th><th scope="col" role="columnheader">Place</th><th scope="col" role="columnheader">Encoding</th><th scope="col" role="columnheader">Segments</th></tr></thead>
<tbody role="rowgroup">
% for sent in file.texts:
<tr role="row">
<td role="cell" dir="auto">{{sent.text}}</td>
<td role="cell" data-label="Place">{{sent.template.location}}</td>
<td role="cell" data-label="Encoding">{{sent.encoding}}</td>
<td role="cell" data-label="Segments">{{sent.segments}}</td>
</tr>
% end
</tbody>
</table>
</details>
% end
% if file.in_use:
<p><a href="{{root}}{{file.address}}">Poster to print</a></p>
% end
</section>
% end
% if found.limit:
<p class="secondary">Open conversations are counted among the {{found.limit}} that expire last.</p>
% end
% for plan in found.former:
<p class="secondary">{{plan.name}} has no file any more, so nothing opens it. Open conversations that go on: {{sum(plan.open.values())}}.</p>
% end
<form class="stacked">
<label for="price">Price of a segment, to see what a conversation costs</label>
<input id="price" name="price" inputmode="decimal" maxlength="20" value="{{found.price}}" placeholder="0.0083">
<button>Calculate</button>
</form>
