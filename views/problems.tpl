<ul class="problems" role="list">
% for problem in problems:
<li><span class="state {{"bad" if problem.is_error else "degraded"}}">{{"error" if problem.is_error else "warning"}}</span> <span dir="auto">{{show_words(problem)}}</span></li>
% end
</ul>
