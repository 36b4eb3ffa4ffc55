% rebase("layout", title="People")
<form class="filters" action="{{root}}/console/people">
<p><label for="q">Number or name, or a part</label><input id="q" name="q" type="search" maxlength="100" value="{{found.query}}"></p>
<p class="check"><input type="checkbox" id="show" name="show" value="opted-out"\\
% if found.opted_out:
 checked\\
% end
><label for="show">Opted out</label></p>
<p><button>Show</button></p>
</form>
% if found.people:
<table role="table">
<caption>People, the newest first</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Who</th><th scope="col" role="columnheader">Conversations</th><th scope="col" role="columnheader">First</th><th scope="col" role="columnheader">Last</th><th scope="col" role="columnheader">Opted out</th></tr></thead>
<tbody role="rowgroup">
% for each in found.people:
<tr role="row">
<th scope="row" role="rowheader">
% include("person_link", person=each.person)
</th>
<td role="cell" data-label="Conversations">{{each.conversations}}{{" or more" if each.has_more else ""}}</td>
<td role="cell" data-label="First">
% if each.first_at:
{{!show_time(each.first_at)}}
% else:
<span class="secondary">none yet</span>
% end
</td>
<td role="cell" data-label="Last">
% if each.last_at:
{{!show_time(each.last_at)}}
% end
</td>
<td role="cell" data-label="Opted out">
% if each.opted_out_at:
{{!show_time(each.opted_out_at)}}
% if each.opting_out:
 <span class="secondary">by texting “<bdi>{{each.opting_out.body}}</bdi>”</span>
% else:
 <span class="secondary">not by a text from here</span>
% end
% elif each.perhaps_opted_out_at:
perhaps, since {{!show_time(each.perhaps_opted_out_at)}}
% else:
<span class="secondary">no</span>
% end
</td>
</tr>
% end
</tbody>
</table>
% elif found.is_filtered:
<p>Nobody matches. <a href="{{root}}/console/people">Show everybody</a>.</p>
% else:
<p>Nobody has texted yet. Whoever texts is listed here.</p>
% end
% if found.unreadable:
<p class="secondary">Left out, because rows cannot be read: {{found.unreadable}}. <a href="{{root}}/console/health">Health</a> names them.</p>
% end
% if found.is_cut:
<p class="secondary">There may be others: a search stops at 50 people. Search for more of the number or the name.</p>
% end
% if found.older:
<p><a href="{{found.older}}" rel="next">Older</a></p>
% end
