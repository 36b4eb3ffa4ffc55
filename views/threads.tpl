% rebase("layout", title="Threads", live=True)
% filters = found.filters
<form class="filters" action="{{root}}/console/threads">
<p><label for="q">Number or name, or a part</label><input id="q" name="q" type="search" maxlength="100" value="{{filters.words}}"></p>
% include("select", name="state", label="State", all="all", options=found.states, chosen=filters.state)
% include("select", name="waits", label="Who waits", all="all", options=found.waits, chosen=filters.waiting)
% include("select", name="questionnaire", label="Questionnaire", all="all", options=found.questionnaires, chosen=filters.questionnaire)
% if len(found.numbers) > 1 or filters.number:
% include("select", name="number", label="Our number", all="all", options={each: each for each in found.numbers}, chosen=filters.number)
% end
<p class="check"><input type="checkbox" id="undelivered" name="undelivered" value="yes"\\
% if filters.undelivered:
 checked\\
% end
><label for="undelivered">Did not arrive</label></p>
<p><button>Show</button></p>
</form>
% if found.figure:
<p>\\
% if filters.questionnaire:
<bdi>{{found.questionnaires.get(filters.questionnaire, filters.questionnaire)}}</bdi>: \\
% end
{{found.figure}}. <a href="{{root}}/console/threads">Clear filters</a></p>
% end
% if found.threads:
% include("thread_rows", threads=found.threads, caption="Conversations, the newest text first", with_person=True)
% elif found.is_filtered:
<p>No conversation matches{{" among these" if found.is_cut else ""}}. <a href="{{root}}/console/threads">Clear filters</a>.</p>
% elif found.is_only_page:
<p>Nobody has texted yet. Text {{f"“{found.event}”" if found.event else "anything"}} to your number, or <a href="{{root}}/console/try">try it here</a>.</p>
% else:
<p>No older conversations. <a href="{{root}}/console/threads">Back to the newest</a>.</p>
% end
% if found.unreadable:
<p class="secondary">Left out, because rows cannot be read: {{found.unreadable}}. <a href="{{root}}/console/health">Health</a> names them.</p>
% end
% if found.is_cut and not found.older:
<p class="secondary">There may be others: a search stops at 50 people and 50 conversations. Search for more of the number or the name.</p>
% end
% if found.older:
<p><a href="{{found.older}}" rel="next">{{"Look further back" if found.is_cut else "Older"}}</a></p>
% end
