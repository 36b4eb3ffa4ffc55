% rebase("layout", title="Now", live=True)
% funnel, texts = found.funnel, found.texts
% if len(found.questionnaires) > 1:
<p class="choices"><span class="secondary">Questionnaire</span>
% for choice in found.questionnaires:
<a href="{{root}}/console{{choice.address}}"\\
% if choice.is_current:
 aria-current="true"\\
% end
><bdi>{{choice.label}}</bdi></a>
% end
</p>
% end
<div class="choices"><span class="secondary">Started</span>
% for choice in found.periods:
<a href="{{root}}/console{{choice.address}}"\\
% if choice.is_current:
 aria-current="true"\\
% end
>{{choice.label}}</a>
% end
<details\\
% if not found.period.name:
 open\\
% end
><summary>Days</summary>
<form action="{{root}}/console" class="days">
<input type="hidden" name="questionnaire" value="{{found.name}}">
<label>from <input type="date" name="from" value="{{found.period.first or ""}}"></label>
<label>to <input type="date" name="to" value="{{found.period.last or ""}}"></label>
<button>Show</button>
</form>
</details>
</div>
% if found.needs:
<section class="needs" aria-labelledby="needs">
<h2 id="needs">Needs you</h2>
<ul>
% for need in found.needs:
<li><a href="{{root}}{{need.address}}">{{need.words}}</a> <bdi>{{show_words(need.why)}}</bdi> <span class="secondary">{{need.code}}</span></li>
% end
</ul>
</section>
% end
% if not funnel.started:
<p>{{"No conversation yet." if found.period.name == "all" else f"Nobody has started {found.period.words}."}} Text {{f"“{found.event}”" if found.event else "anything"}} to {{found.number or "your number"}}\\
% if found.period.name != "all":
, or <a href="{{root}}/console{{found.periods[-1].address}}">see all</a>\\
% end
, or <a href="{{root}}/console/try">try it here</a>.</p>
% else:
<dl class="figures">
<div><dt>started</dt><dd><a href="{{root}}{{found.threads()}}">{{funnel.started}}</a></dd></div>
% if not found.is_counter:
<div><dt>completed, {{funnel.share(funnel.completed)}} %</dt><dd><a href="{{root}}{{found.threads("completed")}}">{{funnel.completed}}</a></dd></div>
% end
<div><dt>open now</dt><dd><a href="{{root}}{{found.threads("open")}}">{{funnel.outcomes["open"]}}</a></dd></div>
% if funnel.timed:
<div><dt>median time of {{funnel.timed}} to complete</dt><dd>{{funnel.median_words}}</dd></div>
% end
</dl>
% if funnel.is_partial:
<p class="secondary">The newest {{f"{funnel.started:,}"}} of {{funnel.total_words}} conversations are counted.</p>
% end
% if found.is_counter:
<p>This questionnaire asks nothing: it counts texts.</p>
% else:
<section aria-labelledby="funnel">
<h2 id="funnel">How far guests come</h2>
<ol class="funnel">
<li><span class="label">started</span><svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="8"/></svg><span class="count"><a href="{{root}}{{found.threads()}}">{{funnel.started}}</a></span></li>
% for step in funnel.steps:
<li><span class="label"><bdi>{{step.name}}</bdi> <span class="ask secondary" dir="auto">{{step.label}}</span>\\
% if not step.is_asked:
 <span class="secondary">no longer asked</span>\\
% end
</span><svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="{{funnel.share(step.reached)}}" height="8"/></svg><span class="count"><a href="{{root}}{{found.threads(asking=step.key, how="reached")}}">{{step.reached}}</a> <span class="secondary">{{funnel.share(step.reached)}} %</span></span>
<span class="ends secondary">
% for how, count in step.passed.items():
<a href="{{root}}{{found.threads(asking=step.key, how=how)}}">{{count}} {{how}}</a>
% end
% if step.waiting:
<a href="{{root}}{{found.threads("open", asking=step.key)}}">{{step.waiting}} waiting</a>
% end
% for cause, count in step.stopped.items():
<a href="{{root}}{{found.threads(asking=step.key, because=cause)}}">{{count}} {{found.causes[cause]}}</a>
% end
</span></li>
% end
<li><span class="label">completed</span><svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="{{funnel.share(funnel.completed)}}" height="8"/></svg><span class="count"><a href="{{root}}{{found.threads("completed")}}">{{funnel.completed}}</a> <span class="secondary">{{funnel.share(funnel.completed)}} %</span></span></li>
</ol>
</section>
% end
<dl class="outcomes" aria-label="What became of them">
% for outcome, words in found.outcomes.items():
<div><dt>{{words}}</dt><dd><a href="{{root}}{{found.threads(outcome)}}">{{funnel.outcomes[outcome]}}</a></dd></div>
% end
</dl>
% end
% if texts.came or texts.sent:
<section aria-labelledby="texts">
<h2 id="texts">Texts by hour</h2>
<p class="secondary">{{texts.came}} in, {{texts.sent}} out{{" " * bool(found.period.words)}}{{found.period.words}}, to all questionnaires\\
% if texts.is_partial:
: only the newest were counted\\
% end
. The most in an hour of the day: {{texts.highest}}.</p>
<svg class="hours" viewBox="0 0 336 104" role="img" aria-label="Texts by hour, the same as in the table below">
% for bar in texts.bars:
<rect class="in" x="{{bar.left + 1}}" y="{{round(42 - bar.came, 1)}}" width="12" height="{{bar.came}}"/>
<rect class="out" x="{{bar.left + 1}}" y="43" width="12" height="{{bar.sent}}"/>
% end
<line x1="0" x2="336" y1="42.5" y2="42.5"/>
% for hour in (0, 6, 12, 18):
<text x="{{hour * 14 + 1}}" y="100">{{hour}}:00</text>
% end
<text x="335" y="12" text-anchor="end">in</text>
<text x="335" y="82" text-anchor="end">out</text>
</svg>
<details><summary>As a table</summary>
<table role="table">
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">From</th><th scope="col" role="columnheader">In</th><th scope="col" role="columnheader">Out</th></tr></thead>
<tbody role="rowgroup">
% for hour in texts.hours:
% if hour.came or hour.sent:
<tr role="row"><th scope="row" role="rowheader">{{hour.hour}}:00</th><td role="cell" data-label="In">{{hour.came}}</td><td role="cell" data-label="Out">{{hour.sent}}</td></tr>
% end
% end
</tbody>
</table>
</details>
</section>
% end
