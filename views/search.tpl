% rebase("layout", title="Search", query=found.query)
% if found.advice:
<p>{{found.advice}} What is in quotes is looked for as it stands: “no thanks”.</p>
% elif not (found.people or found.texts):
% if found.is_cut:
<p>None of the texts looked through has these words.</p>
% elif found.is_first:
<p>Nobody has this number or name, and no text has these words. Words are found whole: “pizza”, not “piz”.</p>
% else:
<p>No older texts. <a href="{{root}}/console/search?q={{quote(found.query)}}">Back to the newest</a>.</p>
% end
% end
% if found.people:
<h2>People</h2>
<ul class="quotes">
% for person in found.people:
<li>
% include("person_link", person=person)
</li>
% end
</ul>
% if found.has_more_people:
<p><a href="{{root}}/console/people?q={{quote(found.query)}}">More people</a></p>
% end
% end
% if found.people and found.is_first and not found.texts:
<p>No text that was looked through has these words.</p>
% end
% if found.texts:
<table role="table">
<caption>Texts, the newest first</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Who</th><th scope="col" role="columnheader">Text</th><th scope="col" role="columnheader">Thread</th><th scope="col" role="columnheader">When</th></tr></thead>
<tbody role="rowgroup">
% for text in found.texts:
<tr role="row">
<th scope="row" role="rowheader">
% include("person_link", person=text.person)
</th>
<td role="cell"><span class="secondary">{{"they" if text.is_inbound else "we"}}:</span> <span dir="auto">\\
% for part, is_found in text.parts:
% if is_found:
<mark>{{part}}</mark>\\
% else:
{{part}}\\
% end
% end
</span></td>
<td role="cell">\\
% if text.thread:
<a href="{{root}}/console/threads/{{text.thread}}?before={{text.id + 1}}#m{{text.id}}">Thread {{text.thread}}</a> <span class="state">{{text.state}}</span> <span class="secondary">{{text.title}}</span>\\
% else:
<span class="secondary">opened nothing</span>\\
% end
</td>
<td role="cell" class="secondary">{{!show_time(text.at)}}</td>
</tr>
% end
</tbody>
</table>
% end
% if found.is_behind:
<p class="secondary" role="status">The index of words is being made. \\
% if found.reached_at:
It has the texts up to {{!show_time(found.reached_at)}}. \\
% end
Of all others, only the newest thousand were looked through.</p>
% end
% if found.unreadable:
<p class="secondary">Left out, because rows cannot be read: {{found.unreadable}}. <a href="{{root}}/console/health">Health</a> names them.</p>
% end
% if found.older:
<p><a href="{{found.older}}" rel="next">{{"Look further back" if found.is_cut else "Older"}}</a></p>
% end
