% rebase("layout", title="Answers")
% asked, address = found.filter, f"{root}/console/answers"
% values = dict(asked.fields)
% if len(asked.names) > 1:
<p class="choices"><span class="secondary">Questionnaire</span>
% for other in asked.others:
<a href="{{address}}{{other.address}}"\\
% if other.label == asked.name:
 aria-current="true"\\
% end
><bdi>{{other.words}}</bdi></a>
% end
</p>
% elif asked.name:
<p><bdi>{{asked.names[asked.name]}}</bdi> <span class="secondary">{{asked.name}}</span></p>
% end
% if asked.chips:
<ul class="chips" aria-label="Filters in use">
% for chip in asked.chips:
<li><a class="chip" href="{{address}}{{chip.address}}"><span class="secondary">{{chip.label}}</span> <bdi>{{chip.words}}</bdi> <span aria-hidden="true">×</span><span class="unseen">Remove this filter</span></a></li>
% end
<li><a href="{{address}}{{asked.clear}}">Clear filters</a></li>
</ul>
% end
<details class="fold">
<summary>Filter</summary>
<form method="get" action="{{address}}" class="filter">
% for name, value in asked.fields:
% if name not in ("from", "to", "state", "version", "removed", "tests"):
<input type="hidden" name="{{name}}" value="{{value}}">
% end
% end
% if found.columns_named:
<input type="hidden" name="columns" value="{{found.columns_named}}">
% end
<label>From <input type="date" name="from" value="{{values.get("from", "")}}"></label>
<label>To <input type="date" name="to" value="{{values.get("to", "")}}"></label>
<label>State <select name="state"><option value="">any</option>
% for state, words in found.states.items():
<option value="{{state}}"\\
% if values.get("state") == state:
 selected\\
% end
>{{words}}</option>
% end
</select></label>
% if len(asked.versions) > 1:
<label>Version of the file <select name="version"><option value="">any</option>
% for version in asked.versions:
<option value="{{version.id}}"\\
% if values.get("version") == str(version.id):
 selected\\
% end
>{{version.id}}, since {{version.created_at.strftime("%Y-%m-%d")}}</option>
% end
</select></label>
% end
% if asked.keys:
<label>Question <select name="question"><option value="">any</option>
% for key in asked.keys:
<option value="{{key}}">{{key}}: {{found.ask(key)}}</option>
% end
</select></label>
<label>How it was answered <select name="how"><option value="is">the answer is</option>
% for how, words in found.hows.items():
<option value="{{how}}">it {{words}}</option>
% end
</select></label>
<label>Answer <input name="value" maxlength="200"></label>
<label>Questions that the file no longer has <select name="removed"><option value="">show</option><option value="no"\\
% if not asked.with_removed:
 selected\\
% end
>leave out</option></select></label>
% end
<label>Tests <select name="tests"><option value="">leave out</option><option value="yes"\\
% if asked.selection.with_tests:
 selected\\
% end
>count, too</option></select></label>
<button>Show</button>
</form>
</details>
% if found.matching:
<p>{{found.summary}}
% if operator.may_act and not asked.is_narrow:
 <a href="{{root}}/console/shares/new?questionnaire={{quote(asked.name)}}" class="no-print">Share these</a>
% end
</p>
% if found.is_partial:
<p class="secondary">Figures and charts are of the newest {{f"{found.looked_at:,}"}} of {{found.total_words}} conversations. Choose a period to see those of older ones; the table and the files go on.</p>
% end
% end
% if found.charts:
<div class="charts">
% for chart in found.charts:
% include("chart", chart=chart, address=address, root=root)
% end
</div>
% end
% if found.rows:
<h2 id="rows">Conversations</h2>
<details class="fold">
<summary>Columns</summary>
<form method="get" action="{{address}}" class="filter">
% for name, value in asked.fields:
<input type="hidden" name="{{name}}" value="{{value}}">
% end
% for column in found.columns:
<label class="check"><input type="checkbox" name="columns" value="{{column.name}}"\\
% if column.is_shown:
 checked\\
% end
> {{column.title}}</label>
% end
<button>Show these</button>
</form>
</details>
<form method="get" action="{{address}}.xlsx" id="export" class="export">
% for name, value in asked.fields:
<input type="hidden" name="{{name}}" value="{{value}}">
% end
<label>Export <select name="shape"><option value="wide">a row for each conversation</option><option value="long">a row for each answer</option></select></label>
<button>XLSX</button>
<button formaction="{{address}}.csv">CSV</button>
<button formaction="{{address}}.jsonl">JSON lines</button>
<span class="secondary">All that match, with all columns; or those that you tick.</span>
</form>
<div class="wide" role="region" aria-label="Conversations" tabindex="0">
<table role="table" class="rows">
<caption>The newest first</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Id</th>
% for column in found.columns:
% if column.is_shown:
<th scope="col" role="columnheader" title="{{column.hint}}">{{column.title}}</th>
% end
% end
</tr></thead>
<tbody role="rowgroup">
% for row in found.rows:
<tr role="row">
<th scope="row" role="rowheader"><input type="checkbox" name="ticked" value="{{row.id}}" form="export" aria-label="Select conversation {{row.id}}"> <a href="{{root}}/console/threads/{{row.id}}">{{row.id}}</a>\\
% if row.is_test:
 <span class="state">test</span>\\
% end
</th>
% for cell in row.cells:
% include("cell", cell=cell)
% end
</tr>
% end
</tbody>
</table>
</div>
% elif asked.is_narrow or found.older or not found.is_first:
<p id="rows">{{found.nothing}} <a href="{{address}}{{asked.clear}}">Clear filters</a></p>
% elif found.opening:
<p>Nobody has texted yet. Text {{found.opening[0]}} to {{found.opening[1]}}, or <a href="{{root}}/console/try">try it here</a>.</p>
% else:
<p>There is no questionnaire yet. Write one into the folder of questionnaires.</p>
% end
% if not found.is_first or found.older:
<p class="pages">
% if not found.is_first:
<a href="{{address}}{{found.newest}}">Newest</a>
% end
% if found.older:
<a href="{{address}}{{found.older}}#rows">{{"Older" if found.rows else "Look further back"}}</a>
% end
</p>
% end
